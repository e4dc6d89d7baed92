// SPDX-License-Identifier: MIT
import {
  formatAttribute,
  formatHeader,
  HEADER_LENGTH,
  type NetlinkAttribute,
  type NetlinkMessage,
  padding,
  parseAttributes,
  parseMessages,
} from "netlink/dist/structs.js";
import { XdpctlError } from "../errors/index.js";

export type { NetlinkAttribute, NetlinkMessage };
export { HEADER_LENGTH };

/** A piece of a message: bytes that are already padded to four. */
export type Part = Uint8Array | readonly Part[];

/** One request to the kernel; `what` names it in errors: `setting eth1 up`. */
export interface Request {
  readonly type: number;
  /** NLM_F_* beyond REQUEST and ACK, which every request carries. */
  readonly flags: number;
  readonly body: Part;
  readonly what: string;
}

const PADS = [0, 1, 2, 3].map((n) => new Uint8Array(n));

/** Bytes of one attribute with its header of four: its length is a u16. */
const LONGEST_ATTRIBUTE = 0xffff;

/** One attribute with its padding. Throws XDPCTL_E_USAGE for data beyond 65,531 bytes. */
export function attribute(type: number, data: Uint8Array): Part {
  if (data.length + 4 > LONGEST_ATTRIBUTE) {
    const most = LONGEST_ATTRIBUTE - 4;
    throw new XdpctlError("XDPCTL_E_USAGE", `attribute ${type} has ${data.length} bytes: netlink takes ${most}`);
  }
  return [...formatAttribute({ type, data }), PADS[padding(data.length)] as Uint8Array];
}

/** Attributes within an attribute, marked NLA_F_NESTED. */
export function nested(type: number, ...parts: Part[]): Part {
  return formatAttribute({ type, nested: true, data: [join(parts)] });
}

/** An unsigned 32-bit attribute in host order. */
export function u32(type: number, value: number): Part {
  const data = Buffer.alloc(4);
  data.writeUInt32LE(value >>> 0);
  return attribute(type, data);
}

/** An unsigned 32-bit attribute in network order, as netfilter has them. */
export function u32be(type: number, value: number): Part {
  const data = Buffer.alloc(4);
  data.writeUInt32BE(value >>> 0);
  return attribute(type, data);
}

/** An unsigned 16-bit attribute in host order. */
export function u16(type: number, value: number): Part {
  const data = Buffer.alloc(2);
  data.writeUInt16LE(value & 0xffff);
  return attribute(type, data);
}

export function u8(type: number, value: number): Part {
  return attribute(type, Uint8Array.of(value));
}

/** A string attribute with its final NUL. */
export function text(type: number, value: string): Part {
  return attribute(type, Buffer.from(`${value}\0`));
}

function flatten(part: Part, into: Uint8Array[]): void {
  if (part instanceof Uint8Array) into.push(part);
  else for (const p of part) flatten(p, into);
}

/** The bytes of parts, one after the other. */
export function join(part: Part): Buffer {
  const pieces: Uint8Array[] = [];
  flatten(part, pieces);
  return Buffer.concat(pieces);
}

/** A whole message with its header, padded to four bytes. */
export function message(type: number, flags: number, seq: number, body: Part): Buffer {
  const data = join(body);
  const length = HEADER_LENGTH + data.length;
  return Buffer.concat([
    formatHeader({ length, type, flags, seq, port: 0 }),
    data,
    PADS[padding(length)] as Uint8Array,
  ]);
}

function malformed(cause: unknown): XdpctlError {
  return new XdpctlError("XDPCTL_E_NETLINK", `a malformed netlink message: ${(cause as Error).message}`, { cause });
}

/** The messages of one datagram. Their data are views of `datagram`. */
export function messages(datagram: Buffer): NetlinkMessage[] {
  try {
    return parseMessages(datagram);
  } catch (cause) {
    throw malformed(cause);
  }
}

/** Attributes by type; of several with one type, the last. Values are views. */
export function attributes(data: Buffer): Map<number, Buffer> {
  const found = new Map<number, Buffer>();
  eachAttribute(data, (attr) => found.set(attr.type, attr.data));
  return found;
}

export function eachAttribute(data: Buffer, handler: (attribute: NetlinkAttribute) => void): void {
  try {
    parseAttributes(data, handler);
  } catch (cause) {
    if (XdpctlError.is(cause)) throw cause;
    throw malformed(cause);
  }
}

/** A string attribute's text, whether or not the kernel ended it with NUL. */
export function readText(data: Buffer | undefined): string {
  if (data === undefined) return "";
  const end = data.indexOf(0);
  return data.toString("utf8", 0, end < 0 ? data.length : end);
}

/** A u32 attribute, or 0 where it is missing or too short. */
export function readU32(data: Buffer | undefined): number {
  return data !== undefined && data.length >= 4 ? data.readUInt32LE(0) : 0;
}
