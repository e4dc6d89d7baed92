// SPDX-License-Identifier: MIT
import { resolve } from "node:path";
import { Library, libc as plain, type ForeignFunction } from "../src/linux/ffi.js";

export * from "../src/linux/ffi.js";

// In the place of src/linux/ffi.ts for the files that make the system calls of AF_XDP, in programs of the benchmarks alone:
// these calls go by bench/c/timed.c, which adds up the time that they take. Ticks of the scheduler are too coarse for tens of
// nanoseconds, and a clock that is read from JavaScript costs some itself.

const TIMED = / \*?(?:send|recv|poll|nanosleep)\(/;
const timed = new Library(resolve("build/bench/timed.so"), "gcc, which scripts/bench needs,");

class TimedLibc extends Library {
  override func(prototype: string): ForeignFunction {
    return TIMED.test(prototype) ? timed.func(prototype) : plain.func(prototype);
  }
}

export const libc: Library = new TimedLibc("libc.so.6", "libc6");

/** Nanoseconds in those calls since the process began: the wake-ups and the waits of AF_XDP. */
export const nsInCalls: () => number = () => timed.func("double ns_in_calls(void)")() as number;
