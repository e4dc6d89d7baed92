// SPDX-License-Identifier: MIT
import { decodeRecord } from "../../linux/index.js";
import { findSplats, type Guest } from "../../vm/index.js";
import type { KernelLogResult } from "./report.js";

/** The log of a guest's kernel, from its first line. */
export class GuestLog {
  /** With time stamps. */
  readonly lines: string[] = [];
  /** Its console, as far as it is known. */
  console = "";

  /** A record as the agent passes it on. */
  add(record: string): void {
    const { time, fromKernel, text } = decodeRecord(record);
    // Anybody who may write to /dev/kmsg can write `BUG:` there: only the kernel's own words count.
    if (fromKernel) this.lines.push(`[${(time / 1e6).toFixed(6).padStart(12)}] ${text}`);
  }

  /** Takes what the guest's console says, before the guest and its files are gone. */
  keep(guest: Guest): void {
    this.console = guest.console.text();
  }

  result(): KernelLogResult {
    const splats = findSplats(this.lines);
    // The last words of a kernel that gives up reach its console alone.
    const found = splats.length > 0 ? splats : findSplats(this.console.split("\n"));
    return { state: found.length > 0 ? "splat" : "clean", splats: found };
  }
}
