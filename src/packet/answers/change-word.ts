// SPDX-License-Identifier: MIT
import { ETHERTYPE, IP_PROTOCOL } from "../protocol.js";
import { foldSum, sumBytes, udpChecksum, updateChecksum16 } from "../views/checksum.js";
import { CHECKSUM, FrameView } from "../views/frame.js";
import type { ResizableSpan } from "../views/span.js";
import { copyBytes } from "../views/wire.js";
import { WordSearch } from "./search.js";

/** The result of `WordChange.apply` when the longer packet has no room, or would be over 65,535 bytes, or the MTU. */
export const NO_ROOM = -1;

export interface WordChangeOptions {
  /** Text is UTF-8. */
  readonly from: string | Uint8Array;
  /** May be empty. */
  readonly to: string | Uint8Array;
}

/** Replaces a word in the payload of UDP datagrams, IPv4 and IPv6. Fragments, and all else, are left alone. */
export class WordChange {
  readonly #search: WordSearch;
  readonly #to: Uint8Array;
  readonly #frame = new FrameView();

  /** @throws XDPCTL_E_USAGE for an empty `from`. */
  constructor({ from, to }: WordChangeOptions) {
    this.#search = new WordSearch(from);
    this.#to = typeof to === "string" ? new TextEncoder().encode(to) : to.slice();
  }

  /**
   * Replaces each word, from left to right; lengths, checksums and the frame's end follow. A wrong UDP checksum stays
   * wrong, so that its receiver still sees the damage; one left to the device is completed.
   *
   * `mtu`: the most bytes of a longer packet, without its Ethernet header; what is beyond the MTU of the interface by which it
   * leaves, the kernel would drop.
   *
   * Returns how many words there were; NO_ROOM, and the frame as it was, when the result doesn't fit.
   */
  apply(span: ResizableSpan, mtu = Number.POSITIVE_INFINITY): number {
    const frame = this.#frame;
    if (!frame.at(span.bytes, span.start, span.end) || frame.transport !== IP_PROTOCOL.UDP) return 0;
    const count = this.#count(frame);
    return count === 0 || this.#change(frame, span, count, mtu) ? count : NO_ROOM;
  }

  #count(frame: FrameView): number {
    const { bytes, payloadStart, payloadEnd } = frame.udp;
    const { length } = this.#search.word;
    let count = 0;
    for (let at = payloadStart; ; count++) {
      const found = this.#search.find(bytes, at, payloadEnd);
      if (found < 0) return count;
      at = found + length;
    }
  }

  #change(frame: FrameView, span: ResizableSpan, count: number, mtu: number): boolean {
    const { udp, ethernet } = frame;
    const v4 = frame.network === ETHERTYPE.IPV4;
    const delta = count * (this.#to.length - this.#search.word.length);
    const payload = udp.payloadLength;
    const length = udp.length + delta;
    const before = udp.start - (v4 ? frame.ipv4.start : frame.ipv6.start + 40);
    const size = udp.payloadEnd - ethernet.start + delta;
    const oldLength = udp.length;
    const { checksum } = udp;
    const partial = frame.checksumState() === CHECKSUM.PARTIAL;
    const oldSum = foldSum(sumBytes(udp.bytes, udp.payloadStart, udp.payloadEnd));
    if (delta > 0 && udp.start + length - ethernet.payloadStart > mtu) return false;
    if (before + length > 65535 || (delta > 0 && !span.resize(size))) return false;

    frame.at(span.bytes, span.start, span.end);
    this.#rewrite(span.bytes, udp.payloadStart, payload, Math.max(delta, 0));
    udp.length = length;
    if (v4) frame.ipv4.replaceTotalLength(before + length);
    else frame.ipv6.length = before + length;
    if (delta <= 0) span.resize(size);
    frame.at(span.bytes, span.start, span.end);
    if (partial) {
      frame.fillChecksum();
    } else if (checksum !== 0) {
      const newSum = foldSum(sumBytes(span.bytes, udp.payloadStart, udp.payloadEnd));
      // The length is summed twice: in the header and in the pseudo-header.
      let updated = updateChecksum16(checksum, oldSum, newSum);
      updated = updateChecksum16(updated, oldLength, length);
      udp.checksum = udpChecksum(updateChecksum16(updated, oldLength, length));
    }
    return true;
  }

  /** The payload moves back by what it grows, so that the copy from there never runs over what is still to be read. */
  #rewrite(bytes: Uint8Array, payloadStart: number, length: number, grown: number): void {
    if (grown > 0) bytes.copyWithin(payloadStart + grown, payloadStart, payloadStart + length);
    const end = payloadStart + grown + length;
    let read = payloadStart + grown;
    let written = payloadStart;
    while (read < end) {
      const found = this.#search.find(bytes, read, end);
      const until = found < 0 ? end : found;
      copyBytes(bytes, written, bytes, read, until - read);
      written += until - read;
      if (found < 0) return;
      copyBytes(bytes, written, this.#to, 0, this.#to.length);
      written += this.#to.length;
      read = found + this.#search.word.length;
    }
  }
}
