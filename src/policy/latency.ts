// SPDX-License-Identifier: MIT
import { DURATIONS, type Shared } from "./shared.js";

/** The median and the 99th percentile of the last calls, in microseconds. */
export function latency(shared: Shared, calls: number): { p50: number | null; p99: number | null } {
  const n = Math.min(calls, DURATIONS);
  if (n === 0) return { p50: null, p99: null };
  // The worker writes slot `calls & mask`, from 1 on; unused slots are zero and come first.
  const sorted = shared.durations
    .slice()
    .sort()
    .subarray(DURATIONS - n);
  const at = (q: number): number => Math.round((sorted[Math.min(n - 1, Math.floor(n * q))] ?? 0) * 10) / 10;
  return { p50: at(0.5), p99: at(0.99) };
}
