// SPDX-License-Identifier: MIT
import { XdpctlError } from "../../errors/index.js";
import type { Btf } from "./parse.js";
import {
  addressCodec,
  booleanCodec,
  bytesCodec,
  type Codec,
  floatCodec,
  integerCodec,
  macCodec,
  Misfit,
  ranged,
  shown,
  slice,
  stringCodec,
  type Value,
} from "./scalars.js";
import type { BtfMember, BtfType } from "./types.js";

function camelCase(name: string): string {
  return name.replace(/(?<=.)_+([a-z0-9])/g, (_, c: string) => c.toUpperCase());
}

/** Padding is written as zero and never shown. */
function isPadding(name: string): boolean {
  return /^_*(pad|padding|reserved)\d*$/.test(name);
}

/** Builds and keeps the codecs of one BTF. */
export class Codecs {
  readonly #btf: Btf;
  readonly #known = new Map<BtfType, Codec>();

  constructor(btf: Btf) {
    this.#btf = btf;
  }

  /** The codec of a type by id. Throws XDPCTL_E_BAD_OBJECT on types that nest without end. */
  of(id: number): Codec {
    return this.#of(this.#btf.get(id), 0);
  }

  /** The codec of a type itself. */
  ofType(type: BtfType): Codec {
    return this.#of(type, 0);
  }

  #of(type: BtfType, depth: number): Codec {
    let codec = this.#known.get(type);
    if (codec === undefined) {
      if (depth > 32) throw new XdpctlError("XDPCTL_E_BAD_OBJECT", "the BTF is damaged: types nest too deeply");
      codec = this.#build(type, depth + 1);
      this.#known.set(type, codec);
    }
    return codec;
  }

  #build(type: BtfType, depth: number): Codec {
    switch (type.kind) {
      case "typedef":
        if (type.name === "__be32") return addressCodec(4, "__be32");
        if (type.name === "__be16") return integerCodec(2, false, "__be16", false);
        if (type.name === "__be64") return integerCodec(8, false, "__be64", false);
        return this.#of(this.#btf.get(type.type), depth);
      case "const":
      case "volatile":
      case "restrict":
      case "type_tag":
      case "var":
        return this.#of(this.#btf.get(type.type), depth);
      case "int":
        return type.bool ? booleanCodec() : integerCodec(type.size, type.signed, type.name);
      case "float":
        return floatCodec(type.size, type.name);
      case "ptr":
        return integerCodec(8, false, "pointer");
      case "enum":
        return enumeration(type);
      case "array":
        return this.#array(type, depth);
      case "struct":
      case "union":
        if (type.name === "in6_addr") return addressCodec(6, "struct in6_addr");
        if (type.name === "in_addr") return addressCodec(4, "struct in_addr");
        return this.#fields(`${type.kind} ${type.name}`.trim(), type.size, type.members, depth);
      case "datasec": {
        const members = type.variables.map((v) => {
          return { name: this.#btf.get(v.type).name, type: v.type, bitOffset: v.offset * 8, bitSize: 0 };
        });
        return this.#fields(type.name, type.size, members, depth);
      }
      default:
        return bytesCodec(0, type.kind);
    }
  }

  #array(type: BtfType & { kind: "array" }, depth: number): Codec {
    const element = this.#btf.resolve(type.element);
    if (element.kind === "int" && element.size === 1) {
      if (element.char) return stringCodec(type.length);
      return type.length === 6 ? macCodec() : bytesCodec(type.length, `${element.name}[${type.length}]`);
    }
    const one = this.#of(this.#btf.get(type.element), depth);
    const spelling = `${one.spelling}[${type.length}]`;
    return {
      size: one.size * type.length,
      spelling,
      fields: [],
      decode: (v, at) => Array.from({ length: type.length }, (_, i) => one.decode(v, at + i * one.size)),
      encode: (v, at, x) => {
        if (!Array.isArray(x) || x.length !== type.length) throw new Misfit(`${spelling} takes ${type.length} items`);
        for (const [i, item] of x.entries()) one.encode(v, at + i * one.size, item);
      },
    };
  }

  #fields(spelling: string, size: number, members: readonly BtfMember[], depth: number): Codec {
    const fields = members
      .filter((m) => !isPadding(m.name))
      .map((m, i) => ({
        name: m.name,
        key: m.name === "" ? `anonymous${i}` : camelCase(m.name),
        at: m.bitOffset >>> 3,
        codec: m.bitSize > 0 ? bitField(m.bitOffset & 7, m.bitSize) : this.#of(this.#btf.get(m.type), depth),
      }));
    if (fields.some((f) => f.at + f.codec.size > size)) {
      throw new XdpctlError("XDPCTL_E_BAD_OBJECT", `the BTF is damaged: a field lies outside of ${spelling}`);
    }
    const known = new Map(fields.flatMap((f) => [[f.key, f] as const, [f.name, f] as const]));
    const names = fields.map((f) => f.key);
    return {
      size,
      spelling,
      fields: names,
      decode: (v, at) => {
        const out: Record<string, Value> = {};
        for (const f of fields) out[f.key] = f.codec.decode(v, at + f.at);
        return out;
      },
      encode: (v, at, x) => {
        if (typeof x !== "object" || x === null || Array.isArray(x)) {
          throw new Misfit(`${spelling} takes { ${names.join(", ")} }, not ${shown(x)}`);
        }
        slice(v, at, size).fill(0);
        for (const [name, value] of Object.entries(x)) {
          const field = known.get(name);
          if (field === undefined) throw new Misfit(`${spelling} has no field ${name}; it has ${names.join(", ")}`);
          try {
            field.codec.encode(v, at + field.at, value);
          } catch (cause) {
            throw cause instanceof Misfit ? new Misfit(`${name}: ${cause.message}`) : cause;
          }
        }
      },
    };
  }
}

function enumeration(type: BtfType & { kind: "enum" }): Codec {
  const names = new Map(type.values.map((v) => [BigInt(v.value), v.name]));
  const values = new Map(type.values.map((v) => [v.name, v.value]));
  const raw = integerCodec(type.size, type.signed, `enum ${type.name}`);
  return {
    ...raw,
    decode: (v, at) => {
      const number = raw.decode(v, at) as number | bigint;
      return names.get(BigInt(number)) ?? number;
    },
    encode: (v, at, x) => raw.encode(v, at, typeof x === "string" ? (values.get(x) ?? x) : x),
  };
}

function bitField(shift: number, bits: number): Codec {
  const size = Math.ceil((shift + bits) / 8);
  const mask = ((1n << BigInt(bits)) - 1n) << BigInt(shift);
  const spelling = `a bit field of ${bits}`;
  const read = (v: DataView, at: number): bigint => {
    let raw = 0n;
    for (let i = size - 1; i >= 0; i--) raw = (raw << 8n) | BigInt(v.getUint8(at + i));
    return raw;
  };
  return {
    size,
    spelling,
    fields: [],
    decode: (v, at) => {
      const value = (read(v, at) & mask) >> BigInt(shift);
      return bits > 32 ? value : Number(value);
    },
    encode: (v, at, x) => {
      let raw = (read(v, at) & ~mask) | (ranged(x, bits, false, spelling) << BigInt(shift));
      for (let i = 0; i < size; i++) {
        v.setUint8(at + i, Number(raw & 0xffn));
        raw >>= 8n;
      }
    },
  };
}
