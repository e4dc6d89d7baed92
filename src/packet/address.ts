// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";

/** An IP address: 4 or 16 bytes in network order. */
export interface Address {
  readonly family: 4 | 6;
  readonly bytes: Uint8Array;
}

/** A block of addresses; the bits after the prefix are zero. */
export interface Cidr extends Address {
  /** 0 to 32 for IPv4, 0 to 128 for IPv6. */
  readonly prefixLen: number;
}

const OCTET = /^(?:0|[1-9][0-9]{0,2})$/;
const GROUP = /^[0-9a-fA-F]{1,4}$/;

/** Four decimal numbers without leading zeros, as an unsigned 32-bit number in host order; undefined otherwise. */
export function parseIPv4(text: string): number | undefined {
  const parts = text.split(".");
  if (parts.length !== 4) return undefined;
  let value = 0;
  for (const part of parts) {
    if (!OCTET.test(part)) return undefined;
    const octet = Number(part);
    if (octet > 255) return undefined;
    value = value * 256 + octet;
  }
  return value;
}

/** `10.0.0.1` for 0x0a000001 (host order). */
export function formatIPv4(value: number): string {
  return `${value >>> 24}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.${value & 255}`;
}

/** The groups of one side of `::`, with a dotted quad allowed as the last; undefined when one is wrong. */
function parseGroups(text: string, quadAllowed: boolean): number[] | undefined {
  if (text === "") return [];
  const groups: number[] = [];
  const parts = text.split(":");
  for (const [i, part] of parts.entries()) {
    if (quadAllowed && i === parts.length - 1 && part.includes(".")) {
      const quad = parseIPv4(part);
      if (quad === undefined) return undefined;
      groups.push(quad >>> 16, quad & 0xffff);
    } else if (GROUP.test(part)) {
      groups.push(Number.parseInt(part, 16));
    } else {
      return undefined;
    }
  }
  return groups;
}

/** The 16 bytes of an IPv6 address (RFC 4291 §2.2, with `::` and a dotted quad at the end); no zone. */
export function parseIPv6(text: string): Uint8Array | undefined {
  if (text.length > 45) return undefined;
  const gap = text.indexOf("::");
  let groups: number[] | undefined;
  if (gap < 0) {
    groups = parseGroups(text, true);
  } else {
    const head = parseGroups(text.slice(0, gap), false);
    const tail = parseGroups(text.slice(gap + 2), true);
    if (head === undefined || tail === undefined || head.length + tail.length > 7) return undefined;
    groups = [...head, ...new Array<number>(8 - head.length - tail.length).fill(0), ...tail];
  }
  if (groups === undefined || groups.length !== 8) return undefined;
  const bytes = new Uint8Array(16);
  for (const [i, group] of groups.entries()) {
    bytes[i * 2] = group >>> 8;
    bytes[i * 2 + 1] = group & 255;
  }
  return bytes;
}

/** Whether 16 bytes are an IPv4-mapped address, `::ffff:0:0/96`. */
export function isMapped(bytes: Uint8Array): boolean {
  if (bytes.length !== 16 || bytes[10] !== 0xff || bytes[11] !== 0xff) return false;
  for (let i = 0; i < 10; i++) if (bytes[i] !== 0) return false;
  return true;
}

/** `::ffff:a.b.c.d` for the four bytes of an IPv4 address: how the programs keep it in events, flows and buckets. */
export function mapped(bytes: Uint8Array): Uint8Array {
  const result = new Uint8Array(16);
  result[10] = 0xff;
  result[11] = 0xff;
  result.set(bytes.subarray(0, 4), 12);
  return result;
}

/** 16 bytes as RFC 5952 writes them; an IPv4-mapped address is shown as the dotted quad alone. */
export function formatIPv6(bytes: Uint8Array): string {
  if (isMapped(bytes)) return `${bytes[12]}.${bytes[13]}.${bytes[14]}.${bytes[15]}`;
  const groups: number[] = [];
  for (let i = 0; i < 16; i += 2) groups.push(((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0));
  let start = -1;
  let length = 1; // a single zero group is not shortened
  for (let i = 0; i < 8; ) {
    let end = i;
    while (end < 8 && groups[end] === 0) end++;
    if (end - i > length) {
      start = i;
      length = end - i;
    }
    i = end + 1;
  }
  const hex = (from: number, to: number): string =>
    groups
      .slice(from, to)
      .map((group) => group.toString(16))
      .join(":");
  return start < 0 ? hex(0, 8) : `${hex(0, start)}::${hex(start + length, 8)}`;
}

/** The text of 4 or 16 bytes in network order. */
export function formatAddress(bytes: Uint8Array): string {
  return bytes.length === 4 ? `${bytes[0]}.${bytes[1]}.${bytes[2]}.${bytes[3]}` : formatIPv6(bytes);
}

/** `10.0.0.0/8`; with `full` a single host keeps its /32 or /128. */
export function formatCidr(cidr: Cidr, full = true): string {
  const text = formatAddress(cidr.bytes);
  return full || cidr.prefixLen < cidr.bytes.length * 8 ? `${text}/${cidr.prefixLen}` : text;
}

function quad(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255);
}

function lookAt(text: string): Address | undefined {
  const v4 = parseIPv4(text);
  if (v4 !== undefined) return { family: 4, bytes: quad(v4) };
  const v6 = parseIPv6(text);
  if (v6 === undefined) return undefined;
  return isMapped(v6) ? { family: 4, bytes: v6.slice(12) } : { family: 6, bytes: v6 };
}

function why(text: string): string {
  if (text === "") return "it is empty";
  if (text.includes("%")) return "a zone (%…) has no meaning here";
  if (text.includes("/")) return "an address has no prefix length";
  if (!text.includes(":") && /^[0-9.]+$/.test(text)) {
    const parts = text.split(".");
    if (parts.length !== 4) return "IPv4 has four numbers";
    if (parts.some((part) => /^0[0-9]/.test(part))) return "leading zeros are ambiguous";
    return "each number is 0 to 255";
  }
  return "neither IPv4 (10.0.0.1) nor IPv6 (2001:db8::1)";
}

/**
 * Reads an IPv4 or IPv6 address. An IPv4-mapped one (`::ffff:10.0.0.1`) is the IPv4 address that it is.
 * @throws XDPCTL_E_USAGE
 */
export function parseAddress(text: string): Address {
  const address = lookAt(text);
  if (address === undefined) throw new XdpctlError("XDPCTL_E_USAGE", `\`${text}\` is not an IP address: ${why(text)}`);
  return address;
}

/** A copy with the bits after `prefixLen` cleared. */
export function maskBytes(bytes: Uint8Array, prefixLen: number): Uint8Array {
  const result = bytes.slice();
  for (let i = 0; i < result.length; i++) {
    const bits = Math.min(Math.max(prefixLen - i * 8, 0), 8);
    result[i] = (result[i] ?? 0) & (0xff00 >> bits);
  }
  return result;
}

/**
 * Reads `10.0.0.0/8`, `2001:db8::/32`, or an address alone (a block of one). Host bits are masked off, so that two
 * spellings of one block are one key. A mapped block of /96 and longer is the IPv4 block that it is.
 * @throws XDPCTL_E_USAGE
 */
export function parseCidr(text: string): Cidr {
  const slash = text.indexOf("/");
  const addressPart = slash < 0 ? text : text.slice(0, slash);
  const address = lookAt(addressPart);
  if (address === undefined)
    throw new XdpctlError("XDPCTL_E_USAGE", `\`${text}\` is not an address block: ${why(addressPart)}`);
  // What was written as IPv6 counts its prefix from the start of the 128 bits.
  const written = addressPart.includes(":") ? 128 : 32;
  const bits = address.bytes.length * 8;
  if (slash < 0) return { ...address, prefixLen: bits };
  const prefixPart = text.slice(slash + 1);
  const prefix = /^(?:0|[1-9][0-9]{0,2})$/.test(prefixPart) ? Number(prefixPart) : Number.NaN;
  if (!(prefix <= written))
    throw new XdpctlError(
      "XDPCTL_E_USAGE",
      `\`${text}\` is not an address block: its prefix length is not 0 to ${written}`,
    );
  if (address.family === 4 && written === 128) {
    if (prefix >= 96) return { family: 4, bytes: maskBytes(address.bytes, prefix - 96), prefixLen: prefix - 96 };
    return { family: 6, bytes: maskBytes(mapped(address.bytes), prefix), prefixLen: prefix };
  }
  return { family: address.family, bytes: maskBytes(address.bytes, prefix), prefixLen: prefix };
}

/** Whether an address of the same family lies in the block. */
export function contains(cidr: Cidr, bytes: Uint8Array): boolean {
  if (bytes.length !== cidr.bytes.length) return false;
  const masked = maskBytes(bytes, cidr.prefixLen);
  return masked.every((byte, i) => byte === cidr.bytes[i]);
}
