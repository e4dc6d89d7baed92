// SPDX-License-Identifier: MIT
import { readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { nodeDir } from "./paths.js";
import { enterForGood } from "./replace.js";
import { type LabState, machineLives, readState } from "./state.js";

/** Whether this process sees the lab's mounts: inside of a machine it does not. */
export function isReachable(name: string): boolean {
  const state = readState(name);
  if (state === undefined || state === null) return false;
  return Object.keys(state.machines).some((node) => machineLives(state, node));
}

/**
 * Leaves the machine that this process is in, for good, to where the lab was made: into the namespaces of a process that
 * sees the lab's mounts and is in none of its machines. One of our ancestors usually is, or process 1.
 */
export function leaveMachine(lab: string): boolean {
  for (const pid of candidates()) {
    // A machine sees neither the lab's mounts nor its state.
    const state = readState(lab, `/proc/${pid}/root`);
    if (state === undefined || state === null || !seesLab(pid, state)) continue;
    const paths = { net: `/proc/${pid}/ns/net`, mnt: `/proc/${pid}/ns/mnt`, uts: `/proc/${pid}/ns/uts` };
    try {
      enterForGood(paths);
    } catch {
      // It ended in between, or it is not for us to enter.
      continue;
    }
    return isReachable(lab);
  }
  return false;
}

function* candidates(): Generator<number> {
  const seen = new Set<number>([process.pid]);
  for (let pid = process.ppid; pid > 0 && !seen.has(pid); pid = parentOf(pid)) {
    seen.add(pid);
    yield pid;
  }
  for (const entry of readdirSync("/proc")) if (/^\d+$/.test(entry) && !seen.has(Number(entry))) yield Number(entry);
}

function parentOf(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
  } catch {
    return 0;
  }
}

function seesLab(pid: number, state: LabState): boolean {
  try {
    const net = readlinkSync(`/proc/${pid}/ns/net`);
    const marks = Object.entries(state.machines);
    if (marks.some(([, mark]) => net === `net:[${mark.net}]`)) return false;
    // Seen through that process's root, the files are what is mounted there.
    return marks.some(
      ([node, mark]) =>
        String(statSync(`/proc/${pid}/root${nodeDir(state.name, node)}/net`, { bigint: true }).ino) === mark.net,
    );
  } catch {
    return false;
  }
}
