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

const if_indextoname = lazy<(index: number, into: Uint8Array) => unknown>(
  libc,
  "void *if_indextoname(unsigned int, void *)",
);

/** if_indextoname(3) in the calling thread's namespace; undefined where there is no such interface. */
export function interfaceName(index: number): string | undefined {
  const into = Buffer.alloc(16);
  return if_indextoname(index, into) === null ? undefined : into.toString("utf8", 0, into.indexOf(0));
}

/** Nanoseconds of CLOCK_MONOTONIC, the clock of bpf_ktime_get_ns(). */
export function monotonicNow(): bigint {
  return process.hrtime.bigint();
}
