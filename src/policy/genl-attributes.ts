// SPDX-License-Identifier: MIT
/* The bytes of netlink attributes (struct nlattr of linux/netlink.h), without I/O: scripts read and write them. */

const HEADER = 4;
const LONGEST = 0xffff;
const NESTED = 0x8000;
const TYPE_MASK = 0x3fff;

/** Numbers that attributes hold. `be`: network order. */
export const NUMBERS = {
  u8: { size: 1, signed: false, big: false },
  u16: { size: 2, signed: false, big: false },
  u32: { size: 4, signed: false, big: false },
  u64: { size: 8, signed: false, big: false },
  s8: { size: 1, signed: true, big: false },
  s16: { size: 2, signed: true, big: false },
  s32: { size: 4, signed: true, big: false },
  s64: { size: 8, signed: true, big: false },
  u16be: { size: 2, signed: false, big: true },
  u32be: { size: 4, signed: false, big: true },
  u64be: { size: 8, signed: false, big: true },
} as const;

export type NumberType = keyof typeof NUMBERS;

export interface Attribute {
  readonly number: number;
  readonly data: Uint8Array;
}

export function isNumberType(type: string): type is NumberType {
  return Object.hasOwn(NUMBERS, type);
}

/** The number at `at`, which the bytes must hold. */
export function readNumber(type: NumberType, bytes: Uint8Array, at = 0): bigint {
  const { size, signed, big } = NUMBERS[type];
  let value = 0n;
  for (let i = 0; i < size; i++) value = (value << 8n) | BigInt(bytes[at + (big ? i : size - 1 - i)] ?? 0);
  return signed ? BigInt.asIntN(8 * size, value) : value;
}

/** The bytes of a number; undefined where they can't hold it. */
export function numberBytes(type: NumberType, value: bigint): Uint8Array | undefined {
  const { size, signed, big } = NUMBERS[type];
  const fits = signed ? BigInt.asIntN(8 * size, value) : BigInt.asUintN(8 * size, value);
  if (fits !== value) return undefined;
  const bytes = new Uint8Array(size);
  let rest = BigInt.asUintN(8 * size, value);
  for (let i = 0; i < size; i++) {
    bytes[big ? size - 1 - i : i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return bytes;
}

/** Attributes in their order, as views; what is cut short is left out. */
export function readAttributes(bytes: Uint8Array): Attribute[] {
  const found: Attribute[] = [];
  for (let at = 0; at + HEADER <= bytes.length; ) {
    const length = (bytes[at] as number) | ((bytes[at + 1] as number) << 8);
    if (length < HEADER || at + length > bytes.length) break;
    const number = ((bytes[at + 2] as number) | ((bytes[at + 3] as number) << 8)) & TYPE_MASK;
    found.push({ number, data: bytes.subarray(at + HEADER, at + length) });
    at += (length + 3) & ~3;
  }
  return found;
}

/** One attribute with its padding; undefined where the data are longer than an attribute can be. */
export function writeAttribute(number: number, data: Uint8Array, nested: boolean): Uint8Array | undefined {
  const length = HEADER + data.length;
  if (length > LONGEST) return undefined;
  const out = new Uint8Array((length + 3) & ~3);
  const type = number | (nested ? NESTED : 0);
  out.set([length & 255, length >> 8, type & 255, type >> 8]);
  out.set(data, HEADER);
  return out;
}
