// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import { addressBytes, addressText } from "../linux/index.js";
import type { GenericMessage } from "./generic.js";
import { attribute, type Part } from "./message.js";

/** What an attribute holds, and how it is in JavaScript. */
interface Values {
  u32: number;
  u64: bigint;
  /** Text with its NUL. */
  text: string;
  /** An interface's name: IFNAMSIZ with the NUL. */
  ifname: string;
  /** IPv4, network order, as dotted text. */
  ipv4: string;
  /** A port in network order. */
  port: number;
}

type Kind = keyof Values;
/** Attributes by name: number and kind. */
type Attributes = Readonly<Record<string, readonly [number: number, kind: Kind]>>;
type Decoded<A extends Attributes> = { -readonly [N in keyof A]?: Values[A[N][1]] };

interface Codec<K extends Kind> {
  /** Bytes; undefined where it varies. */
  readonly size: number | undefined;
  encode(value: Values[K], name: string): Uint8Array;
  decode(data: Buffer): Values[K];
}

function textBytes(value: string, name: string, most: number): Uint8Array {
  if (value.includes("\0")) throw bad(name, "has a NUL byte, which would end it");
  const bytes = Buffer.from(`${value}\0`);
  if (bytes.length > most) throw bad(name, `has ${bytes.length - 1} bytes: at most ${most - 1}`);
  return bytes;
}

function bad(name: string, why: string): XdpctlError {
  return new XdpctlError("XDPCTL_E_USAGE", `the attribute ${name} ${why}`);
}

function integer(size: 2 | 4, value: number, name: string, bigEndian: boolean): Uint8Array {
  if (!Number.isInteger(value) || value < 0 || value >= 2 ** (8 * size)) {
    throw bad(name, `is ${value}: a number from 0 to ${2 ** (8 * size) - 1} is needed`);
  }
  const data = Buffer.alloc(size);
  if (bigEndian) data.writeUIntBE(value, 0, size);
  else data.writeUIntLE(value, 0, size);
  return data;
}

function untilNul(data: Buffer): string {
  const end = data.indexOf(0);
  return data.toString("utf8", 0, end < 0 ? data.length : end);
}

const CODECS: { readonly [K in Kind]: Codec<K> } = {
  u32: {
    size: 4,
    encode: (value, name) => integer(4, value, name, false),
    decode: (data) => data.readUInt32LE(0),
  },
  u64: {
    size: 8,
    encode: (value) => {
      const data = Buffer.alloc(8);
      data.writeBigUInt64LE(value);
      return data;
    },
    decode: (data) => data.readBigUInt64LE(0),
  },
  text: { size: undefined, encode: (value, name) => textBytes(value, name, 65_531), decode: untilNul },
  ifname: { size: undefined, encode: (value, name) => textBytes(value, name, 16), decode: untilNul },
  ipv4: {
    size: 4,
    encode: (value, name) => {
      const bytes = addressBytes(value, 4);
      if (bytes === undefined) throw bad(name, `is ${JSON.stringify(value)}: an IPv4 address is needed`);
      return bytes;
    },
    decode: addressText,
  },
  port: {
    size: 2,
    encode: (value, name) => integer(2, value, name, true),
    decode: (data) => data.readUInt16BE(0),
  },
};

/** The messages of one family, by the names of its commands and attributes. */
export class FamilyCodec<C extends Readonly<Record<string, number>>, A extends Attributes> {
  constructor(
    readonly name: string,
    readonly version: number,
    readonly commands: C,
    readonly attributes: A,
  ) {}

  /** Attributes in the order of the values. Throws XDPCTL_E_USAGE for a value that is none of its kind. */
  encode(values: Decoded<A>): Part {
    const parts: Part[] = [];
    for (const [name, value] of Object.entries(values)) {
      const [number, kind] = this.attributes[name] ?? [];
      if (number === undefined || kind === undefined) throw bad(name, `is none of ${this.name}`);
      parts.push(attribute(number, (CODECS[kind] as Codec<Kind>).encode(value as never, name)));
    }
    return parts;
  }

  /** The attributes that are known, by name. Throws XDPCTL_E_NETLINK for one of another size than its kind has. */
  decode(message: GenericMessage): Decoded<A> {
    const values: Record<string, unknown> = {};
    for (const [name, [number, kind]] of Object.entries(this.attributes)) {
      const data = message.attributes.find(({ type }) => type === number)?.data;
      if (data === undefined) continue;
      const { size, decode } = CODECS[kind] as Codec<Kind>;
      if (size !== undefined && data.length !== size) {
        const text = `${this.name}: the attribute ${name} has ${data.length} bytes, not ${size}`;
        throw new XdpctlError("XDPCTL_E_NETLINK", text);
      }
      values[name] = decode(data);
    }
    return values as Decoded<A>;
  }
}
