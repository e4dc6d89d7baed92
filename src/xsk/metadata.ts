// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import { FrameView } from "../packet/index.js";
import {
  TX_METADATA_BYTES,
  XDP_TX_METADATA,
  XDP_TXMD_FLAGS_CHECKSUM,
  XDP_TXMD_FLAGS_LAUNCH_TIME,
  XDP_TXMD_FLAGS_TIMESTAMP,
} from "./abi.js";
import type { TxTimestamps } from "./timestamps.js";

export interface TxMetadataOptions {
  /**
   * The kernel computes checksums itself as it takes the packet (XDP_UMEM_TX_SW_CSUM), so that whoever looks at the packet finds
   * them whole. By default they are left to the device, or where it can't, to the kernel. It means copy mode.
   */
  softwareChecksum?: boolean;
  /** Packets may ask to be sent at a time; the driver must have that (XDPCTL_E_NOT_SUPPORTED). Linux 6.15. */
  launchTime?: boolean;
}

/** What a packet, as a cursor or an object, asks of whoever sends it. */
export interface TxRequests {
  /**
   * Asks the device or the kernel for a checksum. Without arguments: that of its TCP, UDP or ICMP header, which must be in its
   * place; false, and nothing is asked, where there is none. Else the sum begins `start` bytes into the packet and is written
   * `offset` bytes after that, where the sum of the pseudo-header must stand already.
   *
   * Ask when the packet is complete. One that asks for a sum outside of it is not sent, and counts as `invalid`. Errors:
   * XDPCTL_E_USAGE where the UMEM has no `txMetadata`; so do the others.
   */
  requestChecksum(start?: number, offset?: number): boolean;
  /** Asks for the time at which it was sent, which comes to `onTimestamp` of the socket, with this number (32 bits). */
  requestTimestamp(tag?: number): void;
  /** Asks to be sent at this time, in nanoseconds of the device's clock. */
  requestLaunchTime(nanoseconds: bigint): void;
}

/** A packet that asks. */
export interface Asking {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
  /** Bits of XDP_TXMD_FLAGS_*. */
  requests: number;
  checksumStart: number;
  checksumOffset: number;
  tag: number;
  launchTime: bigint;
}

const view = new FrameView();

/** What packets of a UMEM ask for as they are sent (`struct xsk_tx_metadata`), written in front of each when it goes. */
export class TxMetadata {
  readonly softwareChecksum: boolean;
  readonly launchTime: boolean;
  /** Of each frame, whether its time is waited for, and what the program calls it. */
  readonly awaited: Uint8Array;
  readonly tags: Uint32Array;
  readonly memory: { readonly view: DataView; readonly frameSize: number; readonly length: number };

  constructor(
    memory: {
      readonly view: DataView;
      readonly frameSize: number;
      readonly frameCount: number;
      readonly length: number;
    },
    { softwareChecksum = false, launchTime = false }: TxMetadataOptions,
  ) {
    this.memory = memory;
    this.softwareChecksum = softwareChecksum;
    this.launchTime = launchTime;
    this.awaited = new Uint8Array(memory.frameCount);
    this.tags = new Uint32Array(memory.frameCount);
  }

  /** See `requestChecksum`. */
  askChecksum(packet: Asking, start: number | undefined, offset: number): boolean {
    if (start === undefined) {
      if (!view.at(packet.bytes, packet.start, packet.end) || !view.seedChecksum()) return false;
      packet.checksumStart = view.transportStart - packet.start;
      packet.checksumOffset = view.checksumAt - view.transportStart;
    } else {
      packet.checksumStart = start;
      packet.checksumOffset = offset;
    }
    packet.requests |= XDP_TXMD_FLAGS_CHECKSUM;
    return true;
  }

  askTimestamp(packet: Asking, tag: number): void {
    packet.tag = tag;
    packet.requests |= XDP_TXMD_FLAGS_TIMESTAMP;
  }

  askLaunchTime(packet: Asking, nanoseconds: bigint): void {
    if (!this.launchTime)
      throw new XdpctlError("XDPCTL_E_USAGE", "a launch time was asked for, which the UMEM was not made for", {
        remedy: "Umem.create({ txMetadata: { launchTime: true } })",
      });
    packet.launchTime = nanoseconds;
    packet.requests |= XDP_TXMD_FLAGS_LAUNCH_TIME;
  }

  /**
   * Whether the sum that is asked for lies in the first `length` bytes. The kernel would refuse the descriptor and not go on to
   * those behind it, for ever.
   */
  allows(packet: Asking, length: number): boolean {
    if ((packet.requests & XDP_TXMD_FLAGS_CHECKSUM) === 0) return true;
    const { checksumStart, checksumOffset } = packet;
    const numbers = checksumStart >>> 0 === checksumStart && checksumOffset >>> 0 === checksumOffset;
    return numbers && checksumStart + checksumOffset + 2 <= length;
  }

  /**
   * Writes what the packet asks for in front of `start`, which is at least TX_METADATA_BYTES into its frame. Returns the
   * descriptor's option.
   */
  write(packet: Asking, frame: number, start: number, timestamps: TxTimestamps | undefined): number {
    const { requests } = packet;
    if (requests === 0) return 0;
    const { view: memory, frameSize } = this.memory;
    const at = start - TX_METADATA_BYTES;
    const checksum = (requests & XDP_TXMD_FLAGS_CHECKSUM) !== 0;
    memory.setUint32(at, requests, true);
    memory.setUint32(at + 4, 0, true);
    memory.setUint16(at + 8, checksum ? packet.checksumStart : 0, true);
    memory.setUint16(at + 10, checksum ? packet.checksumOffset : 0, true);
    memory.setUint32(at + 12, 0, true);
    if ((requests & XDP_TXMD_FLAGS_LAUNCH_TIME) !== 0) memory.setBigUint64(at + 16, packet.launchTime, true);
    if ((requests & XDP_TXMD_FLAGS_TIMESTAMP) !== 0 && timestamps !== undefined) {
      const index = frame / frameSize;
      this.awaited[index] = 1;
      this.tags[index] = packet.tag;
      timestamps.pending++;
    }
    return XDP_TX_METADATA;
  }
}

/** Of a packet whose UMEM can't carry what it asks for. */
export function noMetadata(): never {
  throw new XdpctlError("XDPCTL_E_USAGE", "the frames of this UMEM have no TX metadata", {
    remedy: "Umem.create({ txMetadata: true })",
  });
}
