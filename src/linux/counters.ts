// SPDX-License-Identifier: MIT
import { readFileSync } from "node:fs";

/**
 * One group of the counters of /proc/net/netstat, such as `TcpExt` or `MPTcpExt`, in the calling thread's network
 * namespace, by name; undefined where the kernel has no such group.
 */
export function networkCounters(group: string): Map<string, number> | undefined {
  const lines = readFileSync("/proc/thread-self/net/netstat", "latin1").split("\n");
  const [names, values] = lines.filter((line) => line.startsWith(`${group}: `)).map((line) => line.split(" ").slice(1));
  if (names === undefined || values === undefined) return undefined;
  return new Map(names.map((name, i) => [name, Number(values[i])]));
}
