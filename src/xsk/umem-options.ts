// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import { PAGE_SIZE } from "../linux/index.js";
import { XDP_PACKET_HEADROOM } from "./abi.js";
import type { TxMetadataOptions } from "./metadata.js";

export interface UmemOptions {
  /** Bytes of a frame: 2048 (the default) or 4096; with `unaligned` anything from 2048 to 4096. */
  frameSize?: number;
  /** How many frames; 4096 by default. */
  frameCount?: number;
  /** Bytes that stay free in front of received packets, besides the kernel's own 256. 0 by default. */
  headroom?: number;
  /** Frames of any size, not only powers of two (XDP_UMEM_UNALIGNED_CHUNK_FLAG, Linux 5.4). */
  unaligned?: boolean;
  /**
   * Packets may ask for checksums and timestamps as they are sent: `frame.requestChecksum()`, `frame.requestTimestamp()`. It takes
   * 24 bytes at the front of each frame, which packets can't have. Linux 6.8, as its stable releases are now.
   */
  txMetadata?: boolean | TxMetadataOptions;
  /**
   * Development mode: an owner byte per frame finds frames that are used after they were sent, or freed twice
   * (XDPCTL_E_FRAME). By default it is on unless NODE_ENV is `production`; off, it costs nothing.
   */
  checked?: boolean;
}

/** Numbers under 2^31 are V8's small integers: offsets in a larger UMEM would be allocated one by one. */
const MOST_BYTES = 2 ** 31 - 2 * 65_536;
const LEAST_FRAME = 2048;
/**
 * Behind the frames, in the same buffer, is room for one packet of several frames in one piece. The kernel is not told of it,
 * and while nobody writes there it takes no memory.
 */
export const LINEAR_BYTES = 65_536;
/**
 * What the kernel keeps behind a packet (struct skb_shared_info, aligned), and the least that it leaves for the packet itself. Old
 * kernels took larger headrooms, and wrote one over the other.
 */
const SHARED_INFO = 320;
const LEAST_PACKET = 128;
const isPowerOfTwo = (n: number): boolean => (n & (n - 1)) === 0;

/** @internal The usual for what the caller does not say. */
export function complete(options: UmemOptions): Required<UmemOptions> {
  return {
    frameSize: options.frameSize ?? 2048,
    frameCount: options.frameCount ?? 4096,
    headroom: options.headroom ?? 0,
    unaligned: options.unaligned ?? false,
    txMetadata: options.txMetadata ?? false,
    checked: options.checked ?? process.env.NODE_ENV !== "production",
  };
}

/** @internal Throws XDPCTL_E_XSK_SIZE for sizes that the kernel refuses. */
export function checkSizes({
  frameSize,
  frameCount,
  headroom,
  unaligned,
}: Required<Pick<UmemOptions, "frameSize" | "frameCount" | "headroom" | "unaligned">>): void {
  const refuse = (what: string, remedy: string): never => {
    throw new XdpctlError("XDPCTL_E_XSK_SIZE", what, { remedy });
  };
  const fits = Number.isInteger(frameSize) && frameSize >= LEAST_FRAME && frameSize <= PAGE_SIZE;
  if (!fits || !(unaligned || isPowerOfTwo(frameSize)))
    refuse(`frames of ${frameSize} bytes`, "frames have 2048 or 4096 bytes, or with `unaligned` any size in between");
  if (!Number.isInteger(frameCount) || frameCount < 1 || frameCount * frameSize > MOST_BYTES)
    refuse(`${frameCount} frames of ${frameSize} bytes`, "a UMEM has at least one frame, and at most 2 GiB");
  const most = frameSize - XDP_PACKET_HEADROOM - SHARED_INFO - LEAST_PACKET;
  if (!Number.isInteger(headroom) || headroom < 0 || headroom > most)
    refuse(`a headroom of ${headroom} bytes`, `0 to ${most} bytes fit into frames of ${frameSize}`);
}
