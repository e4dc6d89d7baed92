// SPDX-License-Identifier: MIT
import { setU16, u16At } from "./wire.js";

/**
 * Adds `[start, end)` to a running sum as big-endian words of 16 bits, counted from `start`; a last odd byte is the high
 * half of a word. Up to 65,535 bytes at a time; `foldSum` or `finishSum` brings the sum down to 16 bits.
 */
export function sumBytes(bytes: Uint8Array, start: number, end: number, sum = 0): number {
  let high = 0;
  let low = 0;
  let at = start;
  for (const last = end - 7; at < last; at += 8) {
    high += (bytes[at] as number) + (bytes[at + 2] as number) + (bytes[at + 4] as number) + (bytes[at + 6] as number);
    low +=
      (bytes[at + 1] as number) + (bytes[at + 3] as number) + (bytes[at + 5] as number) + (bytes[at + 7] as number);
  }
  for (; at + 1 < end; at += 2) {
    high += bytes[at] as number;
    low += bytes[at + 1] as number;
  }
  if (at < end) high += bytes[at] as number;
  return sum + high * 256 + low;
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
  return sumBytes(bytes, addressesAt, addressesAt + addressBytes, protocol + length);
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
