// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import { Span } from "./frame.js";
import { OWNER } from "./owners.js";
import type { Umem } from "./umem.js";

/** Where a new packet begins in its frame. */
export const DEFAULT_HEADROOM = 256;

/**
 * A packet with a frame of its own, outside the rings: for programs that keep packets, or make them. It is used up by being
 * sent or freed. In a hot path use the cursor of `serve`: a packet is an object, and this is where they are allocated.
 */
export class Packet extends Span implements Disposable {
  /** Where it lies in `bytes`, and its room: they are moved by the methods below. */
  declare readonly start: number;
  declare readonly end: number;
  declare readonly first: number;
  declare readonly limit: number;
  readonly #umem: Umem;
  readonly #frame: number;
  #gone = false;

  private constructor(umem: Umem, frame: number, start: number, end: number) {
    super(umem.bytes, umem.view, umem.metadata);
    this.#umem = umem;
    this.#frame = frame;
    this.first = frame + umem.reserve;
    this.limit = frame + umem.frameSize;
    this.start = start;
    this.end = end;
    umem.held[frame / umem.frameSize] = 1;
  }

  /** An empty packet on a free frame, with 256 bytes of headroom; undefined when no frame is free. */
  static alloc(umem: Umem): Packet | undefined {
    const frame = umem.take(OWNER.user);
    if (frame < 0) return undefined;
    return new Packet(umem, frame, frame + DEFAULT_HEADROOM, frame + DEFAULT_HEADROOM);
  }

  /** @internal A packet on a frame that was received. */
  static on(umem: Umem, frame: number, start: number, end: number): Packet {
    return new Packet(umem, frame, start, end);
  }

  /** Bytes of the frame: the most that the packet can have. */
  get bufferSize(): number {
    return this.limit - this.first;
  }

  /** The packet's own bytes, in place. It allocates a view: not for hot paths. */
  get data(): Uint8Array {
    return this.bytes.subarray(this.start, this.end);
  }

  get umem(): Umem {
    return this.#umem;
  }

  /** True once it was sent or freed: its bytes are somebody else's. */
  get gone(): boolean {
    return this.#gone;
  }

  /** Throws XDPCTL_E_FRAME where its whole frame is too short. */
  override resize(length: number): true {
    if (!super.resize(length))
      throw new XdpctlError("XDPCTL_E_FRAME", `The requested size is too large. (Max = ${this.bufferSize})`);
    return true;
  }

  /** @internal Throws XDPCTL_E_FRAME unless it lies in its frame and has a byte: JavaScript may write what is readonly. */
  check(): void {
    if (this.#gone) return;
    const { start, end } = this;
    const [first, limit] = [this.#frame + this.#umem.reserve, this.#frame + this.#umem.frameSize];
    if (start >>> 0 !== start || end >>> 0 !== end || start < first || end > limit || start > end)
      throw new XdpctlError("XDPCTL_E_FRAME", `the packet from ${start} to ${end} leaves its frame`, {
        remedy: `its frame is from ${first} to ${limit}: move it by growHead, growTail, resize and the like`,
      });
    if (start === end) throw new XdpctlError("XDPCTL_E_FRAME", "an empty packet can't be sent");
  }

  /** @internal The frame leaves this packet. Throws XDPCTL_E_FRAME where it has left already. */
  leave(): number {
    const frame = this.#frame;
    if (this.#gone)
      throw new XdpctlError("XDPCTL_E_FRAME", `the packet of the frame at ${frame} was sent or freed already`);
    this.#gone = true;
    this.#umem.held[frame / this.#umem.frameSize] = 0;
    // What is done to it from now on is done to nothing.
    this.nowhere();
    return frame;
  }

  /** Gives the frame back. A second time is an error (XDPCTL_E_FRAME): the frame may be another packet's by then. */
  free(): void {
    this.#umem.give(this.leave(), OWNER.user);
  }

  [Symbol.dispose](): void {
    if (!this.#gone) this.free();
  }
}
