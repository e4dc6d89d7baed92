// SPDX-License-Identifier: MIT
import { readFileSync, writeFileSync } from "node:fs";
import type { Terminal } from "../terminal.js";

/** Sets a setting of this network namespace, below /proc/sys/net; returns how it becomes what it was. */
export function setForNow(name: string, value: string): () => void {
  const path = `/proc/sys/net/${name}`;
  const before = readFileSync(path, "latin1").trim();
  if (before === value) return () => {};
  writeFileSync(path, value);
  return () => writeFileSync(path, before);
}

/** A setting of this network namespace, below /proc/sys/net; undefined where the kernel has none of that name. */
function setting(name: string): string | undefined {
  try {
    return readFileSync(`/proc/sys/net/${name}`, "latin1").trim();
  } catch {
    return undefined;
  }
}

/** Whether sockets may speak MPTCP. */
export const mptcpEnabled = (): boolean => setting("mptcp/enabled") !== "0";

/** Who opens subflows and announces addresses; before Linux 5.19 always the kernel. */
export const pathManager = (): "kernel" | "userspace" => (setting("mptcp/pm_type") === "1" ? "userspace" : "kernel");

/** Says it where endpoints and limits are without effect. */
export function sayPathManager(terminal: Terminal): void {
  if (pathManager() === "kernel") return;
  terminal.line("path manager: user space (net.mptcp.pm_type=1): new connections use neither endpoints nor limits");
  terminal.note("where no `mptcp detour run` and no mptcpd runs, `sysctl net.mptcp.pm_type=0` sets it back");
}
