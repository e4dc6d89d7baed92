// SPDX-License-Identifier: MIT
import { readFileSync } from "node:fs";
import { XdpctlError } from "../errors/index.js";

const BIT = {
  CAP_NET_ADMIN: 12,
  CAP_NET_RAW: 13,
  CAP_SYS_ADMIN: 21,
  CAP_SYS_RESOURCE: 24,
  CAP_PERFMON: 38,
  CAP_BPF: 39,
} as const;

export type Capability = keyof typeof BIT;

/** Whether this thread has `capability` in its effective set. */
export function hasCapability(capability: Capability): boolean {
  const line = /^CapEff:\s*([0-9a-f]+)/m.exec(readFileSync("/proc/thread-self/status", "utf8"));
  const bit = BIGINT_ONE << BigInt(BIT[capability]);
  return (BigInt(`0x${line?.[1] ?? "0"}`) & bit) !== 0n;
}

const BIGINT_ONE = 1n;

/** Throws one line that names what is missing: `loading a program needs CAP_BPF and CAP_NET_ADMIN (or root)`. */
export function needCapabilities(what: string, ...needed: Capability[]): void {
  const missing = needed.filter((c) => !(hasCapability(c) || (c === "CAP_BPF" && hasCapability("CAP_SYS_ADMIN"))));
  if (missing.length === 0) return;
  throw new XdpctlError("XDPCTL_E_PERMISSION", `${what} needs ${needed.join(" and ")} (or root)`);
}
