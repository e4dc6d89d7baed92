// SPDX-License-Identifier: MIT
import { check } from "./errno.js";
import { lazy, libc } from "./ffi.js";

/** CPUs that a mask has room for. */
const MOST = 1024;

const get_ = lazy<(thread: number, bytes: number, mask: Uint8Array) => number>(
  libc,
  "int sched_getaffinity(int, size_t, void *)",
);
const set_ = lazy<(thread: number, bytes: number, mask: Uint8Array) => number>(
  libc,
  "int sched_setaffinity(int, size_t, const void *)",
);

/** The CPUs on which the calling thread may run (sched_getaffinity(2)). */
export function allowedCpus(): number[] {
  const mask = new Uint8Array(MOST / 8);
  check("sched_getaffinity", get_(0, mask.length, mask));
  return Array.from({ length: MOST }, (_, cpu) => cpu).filter((cpu) => ((mask[cpu >> 3] as number) >> (cpu & 7)) & 1);
}

/** Keeps the calling thread, and those that it makes later, on these CPUs (sched_setaffinity(2)). */
export function keepOnCpus(cpus: readonly number[]): void {
  const mask = new Uint8Array(MOST / 8);
  for (const cpu of cpus) mask[cpu >> 3] = (mask[cpu >> 3] as number) | (1 << (cpu & 7));
  check("sched_setaffinity", set_(0, mask.length, mask));
}
