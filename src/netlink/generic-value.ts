// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import type { GenericAttributeType } from "./generic.js";
import { attribute, type Part } from "./message.js";

const BITS: Partial<Record<GenericAttributeType, number>> = {
  u8: 8,
  u16: 16,
  u32: 32,
  u64: 64,
  s8: 8,
  s16: 16,
  s32: 32,
  s64: 64,
};

function bad(text: string, type: string): XdpctlError {
  return new XdpctlError("XDPCTL_E_USAGE", `${JSON.stringify(text)} is no ${type}`);
}

function integer(text: string, type: GenericAttributeType, bits: number): Buffer {
  let value: bigint;
  try {
    value = BigInt(text);
  } catch {
    throw bad(text, type);
  }
  const signed = type.startsWith("s");
  if ((signed ? BigInt.asIntN(bits, value) : BigInt.asUintN(bits, value)) !== value) throw bad(text, type);
  const data = Buffer.alloc(8);
  data.writeBigUInt64LE(BigInt.asUintN(64, value));
  return data.subarray(0, bits / 8);
}

/** The bytes of a value in text, host order for numbers; `binary` and `nested` are hexadecimal digits. */
function bytesOf(text: string, type: GenericAttributeType): Buffer {
  const bits = BITS[type];
  if (bits !== undefined) return integer(text, type, bits);
  // sint and uint are 4 bytes, or 8 where 4 do not hold them (Linux 6.7).
  if (type === "uint" || type === "sint") {
    const [short, long] = type === "uint" ? (["u32", "u64"] as const) : (["s32", "s64"] as const);
    try {
      return integer(text, short, 32);
    } catch {
      return integer(text, long, 64);
    }
  }
  if (type === "nul-string") return Buffer.from(`${text}\0`);
  if (type === "string") return Buffer.from(text);
  if (type === "flag") {
    if (text !== "" && text !== "true") throw bad(text, "flag (leave it empty)");
    return Buffer.alloc(0);
  }
  const digits = text.replace(/^0x/, "").replace(/[:\s]/g, "");
  if (!/^([0-9a-fA-F]{2})*$/.test(digits)) throw bad(text, `${type} (hexadecimal digits)`);
  return Buffer.from(digits, "hex");
}

/** One attribute from a value in text. Throws XDPCTL_E_USAGE for a value that is none of its type. */
export function genericAttribute(number: number, type: GenericAttributeType, text: string): Part {
  return attribute(number, bytesOf(text, type));
}
