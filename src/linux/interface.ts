// SPDX-License-Identifier: MIT
import { lazy, libc } from "./ffi.js";

/** An interface's number in its network namespace. */
export type Ifindex = number & { readonly __ifindex: unique symbol };

const if_nametoindex = lazy<(name: string) => number>(libc, "unsigned int if_nametoindex(const char *)");

/** if_nametoindex(3) in the calling thread's namespace; undefined where there is no such interface. */
export function interfaceIndex(name: string): Ifindex | undefined {
  if (name.length === 0 || name.length > 15 || name.includes("\0")) return undefined;
  const index = if_nametoindex(name);
  return index === 0 ? undefined : (index as Ifindex);
}

/** Nanoseconds of CLOCK_MONOTONIC, the clock of bpf_ktime_get_ns(). */
export function monotonicNow(): bigint {
  return process.hrtime.bigint();
}
