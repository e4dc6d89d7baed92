// SPDX-License-Identifier: MIT
import { addressBytes, addressText } from "../../linux/index.js";

/** A value of a map as TypeScript sees it: structs are objects with camelCase names, 64-bit integers are bigint. */
export type Value = null | boolean | number | bigint | string | Uint8Array | Value[] | { [name: string]: Value };

export interface Codec {
  /** Bytes. */
  readonly size: number;
  /** The type as C spells it, for messages: `struct lpm_v4_key`. */
  readonly spelling: string;
  /** Of structs: the fields' names as TypeScript has them. */
  readonly fields: readonly string[];
  decode(view: DataView, at: number): Value;
  /** Writes `value`; throws a Misfit that names the field. */
  encode(view: DataView, at: number, value: unknown): void;
}

/** A value that does not fit its type; whoever knows the map turns it into XDPCTL_E_BAD_KEY or _VALUE. */
export class Misfit extends Error {}

export function shown(value: unknown): string {
  if (value === undefined) return "nothing";
  const text = typeof value === "bigint" ? `${value}` : (JSON.stringify(value) ?? typeof value);
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}

/** The bytes of a field. */
export function slice(view: DataView, at: number, size: number): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset + at, size);
}

/** An integer that fits into `bits`, from a number, bigint, boolean, or decimal or hexadecimal text. */
export function ranged(value: unknown, bits: number, signed: boolean, what: string): bigint {
  let v: bigint;
  if (typeof value === "bigint") v = value;
  else if (typeof value === "boolean" || (typeof value === "number" && Number.isSafeInteger(value))) v = BigInt(value);
  else if (typeof value === "string" && /^-?\d+$|^0x[0-9a-f]+$/i.test(value)) v = BigInt(value);
  else throw new Misfit(`${what} takes an integer, not ${shown(value)}`);
  const low = signed ? -(1n << BigInt(bits - 1)) : 0n;
  const high = (1n << BigInt(signed ? bits - 1 : bits)) - 1n;
  if (v < low || v > high) throw new Misfit(`${what} takes ${low} to ${high}, not ${v}`);
  return v;
}

export function integerCodec(size: number, signed: boolean, spelling: string, little = true): Codec {
  const bits = size * 8;
  const number = (x: unknown): number => Number(BigInt.asUintN(bits, ranged(x, bits, signed, spelling)));
  const base = { size, spelling, fields: [] };
  switch (size) {
    case 1:
      return {
        ...base,
        decode: (v, at) => (signed ? v.getInt8(at) : v.getUint8(at)),
        encode: (v, at, x) => v.setUint8(at, number(x)),
      };
    case 2:
      return {
        ...base,
        decode: (v, at) => (signed ? v.getInt16(at, little) : v.getUint16(at, little)),
        encode: (v, at, x) => v.setUint16(at, number(x), little),
      };
    case 4:
      return {
        ...base,
        decode: (v, at) => (signed ? v.getInt32(at, little) : v.getUint32(at, little)),
        encode: (v, at, x) => v.setUint32(at, number(x), little),
      };
    case 8:
      return {
        ...base,
        decode: (v, at) => (signed ? v.getBigInt64(at, little) : v.getBigUint64(at, little)),
        encode: (v, at, x) => v.setBigUint64(at, BigInt.asUintN(64, ranged(x, 64, signed, spelling)), little),
      };
    default:
      return bytesCodec(size, spelling);
  }
}

export function booleanCodec(): Codec {
  return {
    size: 1,
    spelling: "bool",
    fields: [],
    decode: (v, at) => v.getUint8(at) !== 0,
    encode: (v, at, x) => v.setUint8(at, Number(ranged(x, 1, false, "bool"))),
  };
}

export function floatCodec(size: number, spelling: string): Codec {
  return {
    size,
    spelling,
    fields: [],
    decode: (v, at) => (size === 4 ? v.getFloat32(at, true) : v.getFloat64(at, true)),
    encode: (v, at, x) => {
      if (typeof x !== "number") throw new Misfit(`${spelling} takes a number, not ${shown(x)}`);
      if (size === 4) v.setFloat32(at, x, true);
      else v.setFloat64(at, x, true);
    },
  };
}

/** Bytes without a type of their own; as text they are hexadecimal. */
export function bytesCodec(size: number, spelling: string): Codec {
  return {
    size,
    spelling,
    fields: [],
    decode: (v, at) => slice(v, at, size).slice(),
    encode: (v, at, x) => {
      const hex = typeof x === "string" && /^([0-9a-f]{2}[ :]?)*$/i.test(x);
      const bytes = hex ? Buffer.from(x.replace(/[ :]/g, ""), "hex") : x;
      if (!(bytes instanceof Uint8Array) && !Array.isArray(bytes)) {
        throw new Misfit(`${spelling} takes ${size} bytes in hexadecimal, not ${shown(x)}`);
      }
      if (bytes.length !== size) throw new Misfit(`${spelling} takes ${size} bytes, not ${bytes.length}`);
      slice(v, at, size).set(bytes as ArrayLike<number>);
    },
  };
}

/** An address in network order, as text; IPv4 in a 16-byte field is mapped. */
export function addressCodec(family: 4 | 6, spelling: string): Codec {
  const size = family === 4 ? 4 : 16;
  return {
    size,
    spelling,
    fields: [],
    decode: (v, at) => addressText(slice(v, at, size)),
    encode: (v, at, x) => {
      let bytes: Uint8Array | undefined;
      if (x instanceof Uint8Array && x.length === size) bytes = x;
      else if (typeof x === "string") {
        bytes = addressBytes(x, family) ?? (family === 6 ? addressBytes(`::ffff:${x}`, 6) : undefined);
      }
      if (bytes === undefined) throw new Misfit(`${spelling} takes an IPv${family} address, not ${shown(x)}`);
      slice(v, at, size).set(bytes);
    },
  };
}

export function macCodec(): Codec {
  return {
    size: 6,
    spelling: "MAC address",
    fields: [],
    decode: (v, at) => Array.from(slice(v, at, 6), (b) => b.toString(16).padStart(2, "0")).join(":"),
    encode: (v, at, x) => {
      if (typeof x !== "string" || !/^([0-9a-f]{2}[:-]){5}[0-9a-f]{2}$/i.test(x)) {
        throw new Misfit(`a MAC address is written 02:00:00:00:00:01, not ${shown(x)}`);
      }
      slice(v, at, 6).set(Buffer.from(x.replace(/[:-]/g, ""), "hex"));
    },
  };
}

/** `char name[N]`: up to N-1 bytes of UTF-8, NUL-terminated. */
export function stringCodec(size: number): Codec {
  const spelling = `char[${size}]`;
  return {
    size,
    spelling,
    fields: [],
    decode: (v, at) => {
      const bytes = slice(v, at, size);
      const end = bytes.indexOf(0);
      return Buffer.from(end < 0 ? bytes : bytes.subarray(0, end)).toString("utf8");
    },
    encode: (v, at, x) => {
      if (typeof x !== "string") throw new Misfit(`${spelling} takes a string, not ${shown(x)}`);
      const bytes = Buffer.from(x);
      if (bytes.length >= size) throw new Misfit(`${spelling} takes up to ${size - 1} bytes, not ${bytes.length}`);
      slice(v, at, size).fill(0);
      slice(v, at, size).set(bytes);
    },
  };
}
