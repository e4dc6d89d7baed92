// SPDX-License-Identifier: MIT
import { readdirSync, readFileSync } from "node:fs";

/** Ticks of 10 ms: what the machine did, and what we and our children did of it. */
interface Ticks {
  busy: number;
  ours: Map<string, number>;
}

function readStat(pid: string): { parent: string; ticks: number } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    // utime, stime, and those of the children that were waited for.
    const ticks = [11, 12, 13, 14].reduce((sum, at) => sum + Number(fields[at]), 0);
    return { parent: fields[1] ?? "", ticks };
  } catch {
    return undefined;
  }
}

function readTicks(roots: readonly string[]): Ticks {
  const first = readFileSync("/proc/stat", "utf8").split("\n", 1)[0] ?? "";
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = first.trim().split(/\s+/).slice(1).map(Number);
  const stats = new Map<string, { parent: string; ticks: number }>();
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    const stat = readStat(pid);
    if (stat !== undefined) stats.set(pid, stat);
  }
  const ours = new Map<string, number>();
  const isOurs = (pid: string): boolean => {
    for (let at = pid; at !== "0" && at !== ""; at = stats.get(at)?.parent ?? "") if (roots.includes(at)) return true;
    return false;
  };
  for (const [pid, { ticks }] of stats) if (isOurs(pid)) ours.set(pid, ticks);
  return { busy: user + nice + system + irq + softirq, ours };
}

/** Runs `leg` and says how much of one CPU others took meanwhile, 0 to the number of CPUs. */
export async function watched<T>(
  leg: () => Promise<T>,
  more: readonly number[] = [],
): Promise<{ result: T; foreign: number }> {
  const roots = [process.pid, ...more].map(String);
  const before = readTicks(roots);
  const started = performance.now();
  const result = await leg();
  const elapsed = (performance.now() - started) / 10;
  const after = readTicks(roots);
  const sum = ({ ours }: Ticks): number => [...ours.values()].reduce((total, ticks) => total + ticks, 0);
  // Kernel work that no process is charged for (softirq of our own packets) counts as foreign: a little is always there.
  const foreign = Math.max(0, after.busy - before.busy - (sum(after) - sum(before)));
  return { result, foreign: foreign / elapsed };
}
