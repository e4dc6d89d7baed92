// SPDX-License-Identifier: MIT

/** Adds big-endian 16-bit words to a running sum; an odd last byte counts as the high half of a word. */
function addWords(bytes: Uint8Array, sum: number): number {
  const even = bytes.length & ~1;
  let total = sum;
  // 2^21 words of 0xffff stay below 2^53 by far, so the carries are folded once, at the end.
  for (let i = 0; i < even; i += 2) total += ((bytes[i] as number) << 8) | (bytes[i + 1] as number);
  if (even < bytes.length) total += (bytes[even] as number) << 8;
  return total;
}

function fold(sum: number): number {
  let total = sum;
  while (total > 0xffff) total = (total % 0x10000) + Math.floor(total / 0x10000);
  return ~total & 0xffff;
}

/** The internet checksum (RFC 1071), host order. Over bytes that hold a right checksum it is 0. */
export function internetChecksum(bytes: Uint8Array): number {
  return fold(addWords(bytes, 0));
}

/**
 * The checksum of a transport segment under its pseudo-header (RFC 9293 §3.1, RFC 8200 §8.1), host order.
 * `src` and `dst` are both 4 or both 16 bytes. For UDP send 0 as 0xffff.
 */
export function transportChecksum(src: Uint8Array, dst: Uint8Array, protocol: number, segment: Uint8Array): number {
  return fold(addWords(segment, addWords(dst, addWords(src, protocol + segment.length))));
}
