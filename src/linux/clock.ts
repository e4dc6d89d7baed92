// SPDX-License-Identifier: MIT
import { check } from "./errno.js";
import { lazy, libc } from "./ffi.js";

const CLOCK_TAI = 11;
const clock_gettime = lazy<(clock: number, time: BigInt64Array) => number>(libc, "int clock_gettime(int, void *)");

/** Nanoseconds of CLOCK_TAI, the clock of timestamps that the kernel puts on packets as it sends them. */
export function taiNow(): bigint {
  const time = new BigInt64Array(2);
  check("clock_gettime", clock_gettime(CLOCK_TAI, time));
  return (time[0] ?? 0n) * 1_000_000_000n + (time[1] ?? 0n);
}
