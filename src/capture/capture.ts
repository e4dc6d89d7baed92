// SPDX-License-Identifier: MIT
import {
  AF_PACKET,
  errno,
  getSocketOption,
  needCapabilities,
  SOCK_RAW,
  SOL_PACKET,
  SOL_SOCKET,
  Socket,
  syscallError,
} from "../linux/index.js";
import type { Loop, LoopHandle } from "../loop/index.js";
import { type Filter, socketProgram } from "./filter.js";
import { type Frame, PacketRing } from "./ring.js";

const ETH_P_ALL = 3;
const PACKET_RX_RING = 5;
const PACKET_STATISTICS = 6;
const PACKET_VERSION = 10;
const TPACKET_V3 = 2;
const SO_ERROR = 4;
const SO_ATTACH_FILTER = 26;

/** Bytes of a block: the largest packet (64 KiB and headers, with GRO) fits. */
const BLOCK = 1 << 18;
const BLOCKS = 64;
/** Must divide a block; with version 3 frames are as long as their packets. */
const FRAME = 2048;
/** A block that is not full is given to us after so many milliseconds. */
const RETIRE_MS = 10;

export interface CaptureOptions {
  filter?: Filter;
  /** 256-KiB blocks of the ring between the kernel and us; 64 by default. */
  blocks?: number;
  /** After packets were handed on. */
  onBatch?: () => void;
  /** The interface went down or away: no more packets come. */
  onEnd?: () => void;
}

export interface CaptureCounts {
  /** Packets that were handed on. */
  readonly packets: number;
  /** Packets that the kernel had to drop, because the ring was full. */
  readonly dropped: number;
}

/**
 * Packets of an interface, in and out, as the kernel's network stack sees them: a native XDP program that drops, redirects
 * or sends back a packet does so before, and generic XDP after. Linux 3.2, CAP_NET_RAW.
 */
export class PacketCapture implements Disposable {
  readonly #socket: Socket;
  readonly #ring: PacketRing;
  readonly #handler: (frame: Frame) => void;
  readonly #options: CaptureOptions;
  readonly #loop: Loop;
  #watch: LoopHandle | undefined;
  #paused = false;
  #closed = false;
  #packets = 0;
  #dropped = 0;

  /** To be made in the interface's network namespace; it works from anywhere after. Errors: XDPCTL_E_PERMISSION, XDPCTL_E_SYSCALL. */
  constructor(loop: Loop, ifindex: number, handler: (frame: Frame) => void, options: CaptureOptions = {}) {
    needCapabilities("capturing packets", "CAP_NET_RAW");
    this.#loop = loop;
    this.#handler = handler;
    this.#options = options;
    const blocks = options.blocks ?? BLOCKS;
    // Protocol 0: nothing is received before the filter is there and the socket is bound.
    this.#socket = new Socket(AF_PACKET, SOCK_RAW, 0);
    let ring: PacketRing | undefined;
    try {
      this.#socket.setOption(SOL_PACKET, PACKET_VERSION, TPACKET_V3);
      if (options.filter !== undefined) {
        this.#must("SO_ATTACH_FILTER", SOL_SOCKET, SO_ATTACH_FILTER, socketProgram(options.filter));
      }
      const request = new Uint32Array([BLOCK, blocks, FRAME, (BLOCK / FRAME) * blocks, RETIRE_MS, 0, 0]);
      this.#must("PACKET_RX_RING", SOL_PACKET, PACKET_RX_RING, request);
      ring = new PacketRing(this.#socket.fd, BLOCK, blocks);
      const bound = this.#socket.bind(packetAddress(ifindex));
      if (bound < 0) throw syscallError(`capturing on interface ${ifindex}`, -bound);
    } catch (error) {
      ring?.close();
      this.#socket.close();
      throw error;
    }
    this.#ring = ring;
    this.#listen();
  }

  #must(what: string, level: number, name: number, value: NodeJS.TypedArray): void {
    const result = this.#socket.setOptionBytes(level, name, value);
    if (result < 0) throw syscallError(`setsockopt ${what} of a packet socket`, -result);
  }

  #listen(): void {
    this.#watch = this.#loop.watch(this.#socket.fd, () => {
      this.drain();
      const error = new Int32Array(1);
      getSocketOption(this.#socket.fd, SOL_SOCKET, SO_ERROR, error);
      if (error[0] === errno.ENETDOWN) this.#options.onEnd?.();
    });
  }

  /** Hands on what waits in the ring. */
  drain(): void {
    if (this.#closed) return;
    const give = (frame: Frame): void => {
      this.#packets++;
      this.#handler(frame);
    };
    const before = this.#packets;
    this.#ring.read(give, () => !this.#paused && !this.#closed);
    if (this.#packets > before) this.#options.onBatch?.();
  }

  /** Leaves what comes in the ring, until `resume`: the kernel drops and counts what does not fit. */
  pause(): void {
    this.#paused = true;
    this.#watch?.close();
    this.#watch = undefined;
  }

  resume(): void {
    if (!this.#paused || this.#closed) return;
    this.#paused = false;
    this.#listen();
    this.drain();
  }

  get counts(): CaptureCounts {
    if (!this.#closed) {
      // struct tpacket_stats_v3; reading it sets it to zero.
      const stats = new Uint32Array(3);
      if (getSocketOption(this.#socket.fd, SOL_PACKET, PACKET_STATISTICS, stats) > 0) this.#dropped += stats[1] ?? 0;
    }
    return { packets: this.#packets, dropped: this.#dropped };
  }

  close(): void {
    if (this.#closed) return;
    void this.counts;
    this.#closed = true;
    this.#watch?.close();
    this.#socket.close();
    this.#ring.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** struct sockaddr_ll. */
function packetAddress(ifindex: number): Buffer {
  const address = Buffer.alloc(20);
  address.writeUInt16LE(AF_PACKET, 0);
  address.writeUInt16BE(ETH_P_ALL, 2);
  address.writeInt32LE(ifindex, 4);
  return address;
}
