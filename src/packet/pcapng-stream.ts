// SPDX-License-Identifier: MIT
import {
  ENHANCED_PACKET,
  EPB_FLAGS,
  EPB_PACKETID,
  EPB_QUEUE,
  EPB_VERDICT,
  OPT_COMMENT,
  VERDICT_XDP,
} from "./pcapng-options.js";

const OPT_END = 0;
const INBOUND = 1;
/** Type, length, interface, two words of time, captured, length. */
const FIXED = 28;
/** The options that are always there, their end, and the length at the end. */
const OPTIONS = 8 + 12 + 8 + 4 + 4;
const START = 1 << 16;

/** Frames that a program saw, as Enhanced Packet Blocks in one buffer: nothing is allocated for a frame. */
export class PcapngFrames {
  #bytes = Buffer.alloc(START);
  #view = new DataView(this.#bytes.buffer, this.#bytes.byteOffset);
  #used = 0;
  #id = 0;

  /** Bytes that wait to be taken. */
  get length(): number {
    return this.#used;
  }

  /**
   * Adds the frame `bytes[start]` to `bytes[end - 1]`, inbound on interface 0. `length` is that on the wire; the time is in
   * nanoseconds since 1970 UTC, its upper and lower 32 bits; `verdict` is `enum xdp_action`, or -1 for none.
   */
  add(
    bytes: Buffer,
    start: number,
    end: number,
    length: number,
    timeHigh: number,
    timeLow: number,
    queue: number,
    verdict: number,
    comment?: Uint8Array,
  ): void {
    const captured = end - start;
    const body = (captured + 3) & ~3;
    const note = comment === undefined ? 0 : 4 + ((comment.length + 3) & ~3);
    const total = FIXED + body + note + OPTIONS + (verdict < 0 ? 0 : 16);
    this.#reserve(total);
    const view = this.#view;
    let at = this.#used;
    this.#used += total;
    view.setUint32(at, ENHANCED_PACKET, true);
    view.setUint32(at + 4, total, true);
    view.setUint32(at + 8, 0, true);
    view.setUint32(at + 12, timeHigh, true);
    view.setUint32(at + 16, timeLow, true);
    view.setUint32(at + 20, captured, true);
    view.setUint32(at + 24, length, true);
    at += FIXED;
    // The padding of a buffer that is used again.
    if (body > captured) view.setUint32(at + body - 4, 0, true);
    bytes.copy(this.#bytes, at, start, end);
    at += body;
    if (comment !== undefined) at = this.#comment(at, comment);
    at = this.#word(at, EPB_FLAGS, INBOUND);
    at = this.#option(at, EPB_PACKETID, 8);
    view.setUint32(at, this.#id, true);
    view.setUint32(at + 4, Math.floor(this.#id / 2 ** 32), true);
    this.#id++;
    at = this.#word(at + 8, EPB_QUEUE, queue);
    if (verdict >= 0) {
      at = this.#option(at, EPB_VERDICT, 9);
      // One byte of type, eight of verdict, three of padding.
      view.setUint32(at, VERDICT_XDP | (verdict << 8), true);
      view.setUint32(at + 4, 0, true);
      view.setUint32(at + 8, 0, true);
      at += 12;
    }
    view.setUint32(at, OPT_END, true);
    view.setUint32(at + 4, total, true);
  }

  #comment(at: number, comment: Uint8Array): number {
    const padded = (comment.length + 3) & ~3;
    const begin = this.#option(at, OPT_COMMENT, comment.length);
    if (padded > comment.length) this.#view.setUint32(begin + padded - 4, 0, true);
    this.#bytes.set(comment, begin);
    return begin + padded;
  }

  #option(at: number, code: number, length: number): number {
    this.#view.setUint16(at, code, true);
    this.#view.setUint16(at + 2, length, true);
    return at + 4;
  }

  #word(at: number, code: number, value: number): number {
    const begin = this.#option(at, code, 4);
    this.#view.setUint32(begin, value, true);
    return begin + 4;
  }

  #reserve(room: number): void {
    if (this.#used + room <= this.#bytes.length) return;
    const larger = Buffer.alloc(Math.max(2 * this.#bytes.length, this.#used + room));
    this.#bytes.copy(larger, 0, 0, this.#used);
    this.#bytes = larger;
    this.#view = new DataView(larger.buffer, larger.byteOffset);
  }

  /** What was added since the last call; valid until the next `add`. */
  take(): Uint8Array {
    const taken = this.#bytes.subarray(0, this.#used);
    this.#used = 0;
    return taken;
  }
}
