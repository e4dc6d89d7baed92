// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import { noMetadata, type TxMetadata, type TxRequests } from "./metadata.js";
import type { Packet } from "./packet.js";
import type { XskSocket } from "./socket.js";

const ETHERNET_HEADER = 14;

/** What shall become of the frame under the cursor. An enum, since the build puts its numbers in place: constants are read each time. */
export enum Verdict {
  drop = 0,
  send = 1,
  elsewhere = 2,
  taken = 3,
}

/**
 * A received frame, as `serve` shows it: one object for all frames, pointed at one after the other. Read and write
 * `bytes` (or `view`) from `start` up to `end`; offsets are in bytes, from the beginning of the UMEM. It is valid during the
 * call alone: keep none of it.
 *
 * What is neither sent, forwarded nor taken is dropped.
 */
export interface Frame extends TxRequests {
  /** The whole UMEM. */
  readonly bytes: Uint8Array;
  /** The same, for numbers of several bytes. */
  readonly view: DataView;
  /** Where the packet begins in `bytes`. */
  readonly start: number;
  /** Where it ends: the offset after its last byte. */
  readonly end: number;
  /** Where the frame's own room begins and ends; the packet may be moved and grow inside of it. */
  readonly first: number;
  readonly limit: number;
  /** Bytes of the packet. */
  readonly length: number;
  /**
   * How many frames it came in: 1, or with `multiBuffer` more. Then it was copied into one piece of up to 64 KiB (`bytes` is the
   * same), and is copied into frames again to be sent. It can't be taken.
   */
  readonly fragments: number;
  /** Sends the packet, as it is when the handler returns, out of the socket that it came in by. */
  send(): void;
  /** Sends it out of another socket of the same UMEM. */
  forward(to: XskSocket): void;
  /** Drops it: what happens without a word, too. */
  drop(): void;
  /**
   * Takes it out of the ring, to be kept, changed and sent later: an object of its own. What is done to the frame after that is
   * an error (XDPCTL_E_FRAME), and so is taking one of `produce`: `Packet.alloc` makes those.
   */
  take(): Packet;
  /** Makes `n` bytes more room at the front: `start` moves back. Errors: XDPCTL_E_FRAME where the frame has no more. */
  growHead(n: number): void;
  /** Takes `n` bytes off the front. */
  trimHead(n: number): void;
  /** Makes the packet `n` bytes longer; what is in them is not cleared. */
  growTail(n: number): void;
  /** Takes `n` bytes off the end. */
  trimTail(n: number): void;
  /**
   * Makes the packet `length` bytes long; it is moved to the front of its frame where it would not fit. False, and nothing
   * changed, where the whole frame is too short: what `xdpctl/packet` asks for, on frames that may be hostile.
   */
  resize(length: number): boolean;
  /** Its bytes in hexadecimal, as Packetvisor prints them. It allocates: not for hot paths. */
  dump(): string;
  /** Puts other bytes in its place. */
  replace(data: Uint8Array): void;
  /** Exchanges the Ethernet addresses, as an answer needs it; false for a frame under 14 bytes, which has none. */
  swapMacs(): boolean;
}

/** Where a packet lies in its frame, and how that may change. */
export class Span implements TxRequests {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  start = 0;
  end = 0;
  first = 0;
  limit = 0;
  /** @internal What it asks for: bits of XDP_TXMD_FLAGS_*, and what belongs to them. */
  requests = 0;
  /** @internal */
  checksumStart = 0;
  /** @internal */
  checksumOffset = 0;
  /** @internal */
  tag = 0;
  /** @internal */
  launchTime = 0n;
  readonly #metadata: TxMetadata | undefined;

  constructor(bytes: Uint8Array, view: DataView, metadata: TxMetadata | undefined) {
    this.bytes = bytes;
    this.view = view;
    this.#metadata = metadata;
  }

  get length(): number {
    return this.end - this.start;
  }

  growHead(n: number): void {
    if (n >>> 0 !== n || n > this.start - this.first) this.#refuse(n, "in front", this.start - this.first);
    this.start -= n;
  }

  trimHead(n: number): void {
    if (n >>> 0 !== n || n > this.end - this.start) this.#refuse(n, "in it", this.end - this.start);
    this.start += n;
  }

  growTail(n: number): void {
    if (n >>> 0 !== n || n > this.limit - this.end) this.#refuse(n, "behind", this.limit - this.end);
    this.end += n;
  }

  trimTail(n: number): void {
    if (n >>> 0 !== n || n > this.end - this.start) this.#refuse(n, "in it", this.end - this.start);
    this.end -= n;
  }

  resize(length: number): boolean {
    if (length >>> 0 !== length || length > this.limit - this.first) return false;
    if (this.start + length > this.limit) {
      this.bytes.copyWithin(this.first, this.start, Math.min(this.end, this.start + length));
      this.start = this.first;
    }
    this.end = this.start + length;
    return true;
  }

  dump(): string {
    const lines = ["---packet dump---", `chunk addr: ${this.first}`];
    let line = "";
    for (let i = 0; i < this.length; i++) {
      line += `${(this.bytes[this.start + i] as number).toString(16).toUpperCase().padStart(2, "0")} `;
      if (i % 16 === 15) {
        lines.push(line);
        line = "";
      } else if (i % 8 === 7) line += " ";
    }
    if (line !== "") lines.push(line);
    return [...lines, "-------", ""].join("\n");
  }

  replace(data: Uint8Array): void {
    if (data.length > this.limit - this.first)
      throw new XdpctlError("XDPCTL_E_FRAME", "Data size is over than buffer size of packet.");
    this.start = this.first;
    this.end = this.first + data.length;
    this.bytes.set(data, this.first);
  }

  swapMacs(): boolean {
    const { view, start } = this;
    if (this.end - start < ETHERNET_HEADER) return false;
    // Three words in the order of bytes: destination, destination and source, source. Byte by byte takes 12 ns more.
    const a = view.getInt32(start, true);
    const b = view.getInt32(start + 4, true);
    const c = view.getInt32(start + 8, true);
    view.setInt32(start, (b >>> 16) | (c << 16), true);
    view.setInt32(start + 4, (c >>> 16) | (a << 16), true);
    view.setInt32(start + 8, (a >>> 16) | (b << 16), true);
    return true;
  }

  requestChecksum(start?: number, offset = 0): boolean {
    return (this.#metadata ?? noMetadata()).askChecksum(this, start, offset);
  }

  requestTimestamp(tag = 0): void {
    (this.#metadata ?? noMetadata()).askTimestamp(this, tag);
  }

  requestLaunchTime(nanoseconds: bigint): void {
    (this.#metadata ?? noMetadata()).askLaunchTime(this, nanoseconds);
  }

  /** @internal It has no frame any more. */
  protected nowhere(): void {
    this.start = 0;
    this.end = 0;
    this.first = 0;
    this.limit = 0;
  }

  #refuse(n: number, where: string, most: number): never {
    throw new XdpctlError("XDPCTL_E_FRAME", `${n} bytes of a frame that has ${most} ${where}`);
  }
}

function usedUp(): never {
  throw new XdpctlError("XDPCTL_E_FRAME", "the frame was taken already", {
    remedy: "it is the packet's that take() returned: send that, or free it",
  });
}

/** @internal Of a frame that `produce` shows. */
export function notTaken(): never {
  throw new XdpctlError("XDPCTL_E_FRAME", "a frame of produce can't be taken", {
    remedy: "Packet.alloc takes a free frame, to be kept and sent later",
  });
}

/** The cursor itself. What `serve` writes of it the handler may only read. */
export class Cursor extends Span implements Frame {
  verdict: number = Verdict.drop;
  target: XskSocket | undefined;
  fragments = 1;
  /** Makes the packet of a frame that is taken. */
  readonly #keep: (cursor: Cursor) => Packet;

  constructor(bytes: Uint8Array, view: DataView, keep: (cursor: Cursor) => Packet, metadata: TxMetadata | undefined) {
    super(bytes, view, metadata);
    this.#keep = keep;
  }

  send(): void {
    if (this.verdict === Verdict.taken) usedUp();
    this.verdict = Verdict.send;
  }

  forward(to: XskSocket): void {
    if (this.verdict === Verdict.taken) usedUp();
    this.target = to;
    this.verdict = Verdict.elsewhere;
  }

  drop(): void {
    if (this.verdict === Verdict.taken) usedUp();
    this.verdict = Verdict.drop;
  }

  take(): Packet {
    if (this.verdict === Verdict.taken) usedUp();
    if (this.fragments > 1)
      throw new XdpctlError("XDPCTL_E_FRAME", `a packet of ${this.fragments} frames can't be taken`, {
        remedy: "send, forward or drop it, or use frames that it fits into",
      });
    const packet = this.#keep(this);
    this.verdict = Verdict.taken;
    return packet;
  }
}
