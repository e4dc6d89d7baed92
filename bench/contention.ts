// SPDX-License-Identifier: MIT
import { readdirSync, readFileSync } from "node:fs";

/** Ticks of 10 ms: what others did, less the kernel's threads, and what the hypervisor gave to other machines. */
interface Ticks {
  stolen: number;
  others: Map<string, number>;
}

const KERNEL = "2";

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
  const [, , , , , , , stolen = 0] = first.trim().split(/\s+/).slice(1).map(Number);
  const stats = new Map<string, { parent: string; ticks: number }>();
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    const stat = readStat(pid);
    if (stat !== undefined) stats.set(pid, stat);
  }
  const others = new Map<string, number>();
  const isOurs = (pid: string): boolean => {
    for (let at = pid; at !== "0" && at !== ""; at = stats.get(at)?.parent ?? "") if (roots.includes(at)) return true;
    return false;
  };
  for (const [pid, { parent, ticks }] of stats)
    if (pid !== KERNEL && parent !== KERNEL && !isOurs(pid)) others.set(pid, ticks);
  return { stolen, others };
}

/**
 * Runs `leg` and says how much of one CPU others took meanwhile, 0 to the number of CPUs. The kernel's own threads are not
 * others: what our packets cost in softirqs is charged to them, too.
 */
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
  let foreign = after.stolen - before.stolen;
  // One that ended meanwhile is in the time of its parent's children.
  for (const [pid, ticks] of after.others) foreign += ticks - (before.others.get(pid) ?? 0);
  return { result, foreign: Math.max(0, foreign) / elapsed };
}
