// SPDX-License-Identifier: MIT
import type { Shared } from "./shared.js";

/**
 * The median and the 99th percentile of the last packet hooks that came to their end, in microseconds. The slots of
 * other calls, of those that were stopped, and of those that never were, are zero.
 */
export function latency(shared: Shared, calls: number): { p50: number | null; p99: number | null } {
  if (calls === 0) return { p50: null, p99: null };
  const sorted = shared.durations.filter((duration) => duration > 0).sort();
  const n = sorted.length;
  if (n === 0) return { p50: null, p99: null };
  const at = (q: number): number => Math.round((sorted[Math.min(n - 1, Math.floor(n * q))] ?? 0) * 10) / 10;
  return { p50: at(0.5), p99: at(0.99) };
}
