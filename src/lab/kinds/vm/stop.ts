// SPDX-License-Identifier: MIT
import { isRunning } from "../../processes.js";
import type { LabState, ProcessMark } from "../../state.js";

/** A supervisor ends its guest at once: nothing in it is written to a disk. */
const GRACE_MS = 2000;
const PAUSE_MS = 5;
const sleeper = new Int32Array(new SharedArrayBuffer(4));

function signal(marks: readonly ProcessMark[], name: NodeJS.Signals): void {
  for (const mark of marks) {
    if (!isRunning(mark)) continue;
    try {
      process.kill(mark.pid, name);
    } catch {
      // It ended in between.
    }
  }
}

function gone(marks: readonly ProcessMark[]): boolean {
  const deadline = Date.now() + GRACE_MS;
  while (marks.some(isRunning)) {
    if (Date.now() > deadline) return false;
    Atomics.wait(sleeper, 0, 0, PAUSE_MS);
  }
  return true;
}

/** Ends supervisors, and with them their guests. */
export function stopSupervisors(marks: readonly ProcessMark[]): void {
  signal(marks, "SIGTERM");
  // QEMU and virtiofsd end with it, however it ends.
  if (gone(marks)) return;
  signal(marks, "SIGKILL");
  gone(marks);
}

/** Ends the guests of a lab's machines: those of `names`, or all. By the processes that were noted, never by a name. */
export function stopGuests(state: LabState, names?: readonly string[]): void {
  const marks = Object.entries(state.machines).flatMap(([node, { vm }]) =>
    vm !== undefined && (names?.includes(node) ?? true) ? [vm.supervisor] : [],
  );
  stopSupervisors(marks);
  for (const [node, mark] of Object.entries(state.machines)) {
    if (mark.vm === undefined || !(names?.includes(node) ?? true)) continue;
    const { vm: _, ...rest } = mark;
    state.machines[node] = rest;
  }
}
