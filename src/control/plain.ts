// SPDX-License-Identifier: MIT
import type { Value } from "../bpf/index.js";
import type { Plain } from "../rpc/index.js";

/** A count as JSON holds it: a number while exact, a decimal string beyond. */
export function plainCount(value: bigint): number | string {
  return value <= BigInt(Number.MAX_SAFE_INTEGER) && value >= BigInt(Number.MIN_SAFE_INTEGER)
    ? Number(value)
    : value.toString();
}

/** A map's value as JSON holds it; bytes without a type are hexadecimal. */
export function plain(value: Value): Plain {
  if (typeof value === "bigint") return plainCount(value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString("hex");
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, plain(one)]));
  }
  return value;
}
