// SPDX-License-Identifier: MIT
import { XdpctlError } from "../../errors/index.js";

/** A frame that lies in `[start, end)` of a buffer. */
export interface Span {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
}

/** One that can become longer or shorter. */
export interface ResizableSpan extends Span {
  /**
   * Makes the frame `length` bytes long: the first bytes stay, and may move (`start` is read anew afterwards). False,
   * and nothing changed, when that much doesn't fit.
   */
  resize(length: number): boolean;
}

/** A frame in any buffer: what AF_XDP's frames are, for programs and tests without a socket. */
export class BufferSpan implements ResizableSpan {
  readonly bytes: Uint8Array;
  start = 0;
  end = 0;
  readonly #low: number;
  readonly #high: number;

  /** The frame may lie anywhere in `[low, high)` of the buffer; it is empty at first. Throws XDPCTL_E_USAGE. */
  constructor(bytes: Uint8Array, low = 0, high = bytes.length) {
    if (!(low >= 0 && low <= high && high <= bytes.length))
      throw new XdpctlError("XDPCTL_E_USAGE", `${low} to ${high} is no part of a buffer of ${bytes.length} bytes`);
    this.bytes = bytes;
    this.#low = low;
    this.#high = high;
    this.start = low;
    this.end = low;
  }

  /** Copies a frame in, `headroom` bytes behind the beginning; false when it doesn't fit. */
  load(frame: Uint8Array, headroom = 0): boolean {
    const start = this.#low + headroom;
    if (start + frame.length > this.#high) return false;
    this.bytes.set(frame, start);
    this.start = start;
    this.end = start + frame.length;
    return true;
  }

  resize(length: number): boolean {
    if (!(length >= 0) || length > this.#high - this.#low) return false;
    if (this.start + length > this.#high) {
      const start = this.#high - length;
      this.bytes.copyWithin(start, this.start, this.end);
      this.start = start;
    }
    this.end = this.start + length;
    return true;
  }

  /** A copy of the frame. */
  copy(): Uint8Array {
    return this.bytes.slice(this.start, this.end);
  }
}
