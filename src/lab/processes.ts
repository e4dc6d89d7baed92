// SPDX-License-Identifier: MIT
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { isAlive, type LabState, type ProcessMark, processMark } from "./state.js";

const GRACE_MS = 600;
const PAUSE_MS = 5;
const sleeper = new Int32Array(new SharedArrayBuffer(4));

export interface MachineProcess {
  readonly node: string;
  readonly mark: ProcessMark;
  readonly command: string;
}

/** The processes that run in the machines of a lab: those in one of its namespaces. Never this process. */
export function machineProcesses(state: LabState): MachineProcess[] {
  const owner = new Map<string, string>();
  for (const [node, mark] of Object.entries(state.machines)) {
    owner.set(`net:[${mark.net}]`, node);
    if (mark.mnt !== undefined) owner.set(`mnt:[${mark.mnt}]`, node);
  }
  const found: MachineProcess[] = [];
  if (owner.size === 0) return found;
  for (const entry of readdirSync("/proc")) {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    const node = owner.get(namespaceOf(pid, "net")) ?? owner.get(namespaceOf(pid, "mnt"));
    const mark = node === undefined ? undefined : processMark(pid);
    if (node !== undefined && mark !== undefined) found.push({ node, mark, command: commandOf(pid) });
  }
  return found;
}

function namespaceOf(pid: number, kind: string): string {
  try {
    return readlinkSync(`/proc/${pid}/ns/${kind}`);
  } catch {
    return "";
  }
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, "utf8").trim();
  } catch {
    return "";
  }
}

function signal(processes: readonly MachineProcess[], name: NodeJS.Signals): void {
  for (const { mark } of processes) {
    // The number may be another process's by now.
    if (!isAlive(mark)) continue;
    try {
      process.kill(mark.pid, name);
    } catch {
      // It ended in between.
    }
  }
}

/** Ends processes: a hang-up and SIGTERM first, SIGKILL for what is still there after a moment. */
export function endProcesses(processes: readonly MachineProcess[]): void {
  if (processes.length === 0) return;
  signal(processes, "SIGHUP");
  signal(processes, "SIGTERM");
  if (gone(processes)) return;
  signal(processes, "SIGKILL");
  gone(processes);
}

function gone(processes: readonly MachineProcess[]): boolean {
  const deadline = Date.now() + GRACE_MS;
  for (;;) {
    if (!processes.some(({ mark }) => isRunning(mark))) return true;
    if (Date.now() > deadline) return false;
    Atomics.wait(sleeper, 0, 0, PAUSE_MS);
  }
}

/** A zombie has left its namespaces, and our own children are zombies until Node's loop runs again. */
export function isRunning(mark: ProcessMark | undefined): boolean {
  if (mark === undefined || !isAlive(mark)) return false;
  try {
    const stat = readFileSync(`/proc/${mark.pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2, stat.lastIndexOf(")") + 3) !== "Z";
  } catch {
    return false;
  }
}
