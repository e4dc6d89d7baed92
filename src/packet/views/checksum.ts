// SPDX-License-Identifier: MIT
import { setU16, u16At } from "./wire.js";

/** From how many bytes on words of 32 bits are worth their look-up. */
const WIDE = 96;
const LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;
/** Of each buffer, its words: weak, so that a UMEM that is let go is not held. */
const wordsOf = new WeakMap<ArrayBufferLike, Uint32Array>();

function words(buffer: ArrayBufferLike): Uint32Array {
  let found = wordsOf.get(buffer);
  if (found === undefined) {
    found = new Uint32Array(buffer, 0, Math.floor(buffer.byteLength / 4));
    wordsOf.set(buffer, found);
  }
  return found;
}

/**
 * Adds `[start, end)` to a running sum as big-endian words of 16 bits, counted from `start`; a last odd byte is the high
 * half of a word. Up to 65,535 bytes at a time; `foldSum` or `finishSum` brings the sum down to 16 bits.
 */
export function sumBytes(bytes: Uint8Array, start: number, end: number, sum = 0): number {
  let total = sum;
  let at = start;
  if (end - start >= WIDE && LITTLE_ENDIAN && ((bytes.byteOffset + start) & 1) === 0) {
    // One's complement sums don't care for byte order, but for the order of the result's bytes (RFC 1071 §2 B).
    if (((bytes.byteOffset + start) & 2) !== 0) {
      total += u16At(bytes, at);
      at += 2;
    }
    const count = (end - at) >>> 2;
    total += swapped(foldSum(sumWords(words(bytes.buffer), (bytes.byteOffset + at) / 4, count)));
    at += count * 4;
  }
  for (; at + 1 < end; at += 2) total += ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
  return at < end ? total + ((bytes[at] as number) << 8) : total;
}

function sumWords(list: Uint32Array, from: number, count: number): number {
  let low = 0;
  let high = 0;
  let at = from;
  const end = from + count;
  for (const last = end - 3; at < last; at += 4) {
    const a = list[at] as number;
    const b = list[at + 1] as number;
    const c = list[at + 2] as number;
    const d = list[at + 3] as number;
    low += (a & 0xffff) + (b & 0xffff) + (c & 0xffff) + (d & 0xffff);
    high += (a >>> 16) + (b >>> 16) + (c >>> 16) + (d >>> 16);
  }
  for (; at < end; at++) {
    const word = list[at] as number;
    low += word & 0xffff;
    high += word >>> 16;
  }
  return low + high;
}

/** The checksum of 20 bytes: an IPv4 header without options, the most frequent sum of all. */
export function checksumOf20(bytes: Uint8Array, at: number): number {
  const high =
    (bytes[at] as number) +
    (bytes[at + 2] as number) +
    (bytes[at + 4] as number) +
    (bytes[at + 6] as number) +
    (bytes[at + 8] as number) +
    (bytes[at + 10] as number) +
    (bytes[at + 12] as number) +
    (bytes[at + 14] as number) +
    (bytes[at + 16] as number) +
    (bytes[at + 18] as number);
  const low =
    (bytes[at + 1] as number) +
    (bytes[at + 3] as number) +
    (bytes[at + 5] as number) +
    (bytes[at + 7] as number) +
    (bytes[at + 9] as number) +
    (bytes[at + 11] as number) +
    (bytes[at + 13] as number) +
    (bytes[at + 15] as number) +
    (bytes[at + 17] as number) +
    (bytes[at + 19] as number);
  return finishSum((high << 8) + low);
}

/** A sum below 2^32 folded to 16 bits in one's complement; not inverted. */
export function foldSum(sum: number): number {
  let folded = (sum & 0xffff) + (sum >>> 16);
  folded = (folded & 0xffff) + (folded >>> 16);
  return (folded & 0xffff) + (folded >>> 16);
}

/** The checksum of a sum: folded and inverted. */
export function finishSum(sum: number): number {
  return ~foldSum(sum) & 0xffff;
}

/** The internet checksum (RFC 1071) of `[start, end)`, host order: 0 over bytes that hold a right one. */
export function checksumOf(bytes: Uint8Array, start: number, end: number): number {
  return finishSum(sumBytes(bytes, start, end));
}

/** The sum of a pseudo-header (RFC 9293 §3.1): its addresses begin at `addressesAt`, 8 bytes for IPv4 and 32 for IPv6. */
export function pseudoSum(
  bytes: Uint8Array,
  addressesAt: number,
  addressBytes: 8 | 32,
  protocol: number,
  length: number,
): number {
  const sum = protocol + length + u16At(bytes, addressesAt) + u16At(bytes, addressesAt + 2);
  const first = sum + u16At(bytes, addressesAt + 4) + u16At(bytes, addressesAt + 6);
  return addressBytes === 8 ? first : sumBytes(bytes, addressesAt + 8, addressesAt + 32, first);
}

/** What UDP sends: a checksum of 0 would mean that there is none (RFC 768). */
export function udpChecksum(checksum: number): number {
  return checksum === 0 ? 0xffff : checksum;
}

function swapped(value: number): number {
  return ((value & 0xff) << 8) | (value >>> 8);
}

/**
 * The checksum after 16 bits below it became others (RFC 1624, equation 3), without a look at the rest. A right checksum
 * stays right and a wrong one wrong.
 *
 * `offset`: where the 16 bits lie from the start of what is summed. Only whether it is odd counts: there the two bytes
 * belong to two words, in the other order. UDP: 0 stays 0 ("none"), and a result of 0 is sent as 0xffff (`udpChecksum`).
 */
export function updateChecksum16(checksum: number, from: number, to: number, offset = 0): number {
  if ((offset & 1) !== 0) return updateChecksum16(checksum, swapped(from), swapped(to));
  return finishSum((~checksum & 0xffff) + (~from & 0xffff) + to);
}

/** The same for 32 bits, as an address or a sequence number. */
export function updateChecksum32(checksum: number, from: number, to: number, offset = 0): number {
  const once = updateChecksum16(checksum, from >>> 16, to >>> 16, offset);
  return updateChecksum16(once, from & 0xffff, to & 0xffff, offset);
}

/** Writes 16 bits at an even distance from the start of what the checksum at `checksumAt` covers, and that checksum. */
export function replaceU16(bytes: Uint8Array, at: number, value: number, checksumAt: number): void {
  setU16(bytes, checksumAt, updateChecksum16(u16At(bytes, checksumAt), u16At(bytes, at), value));
  setU16(bytes, at, value);
}
