// SPDX-License-Identifier: MIT
import { lstatSync, readFileSync, readlinkSync } from "node:fs";
import { dirname, resolve } from "node:path";

/** How many files virtiofsd may have open; it has one open for each that the guest knows. */
export function openFilesLimit(): number {
  const [, most = ""] = /^Max open files +\S+ +(\S+)/m.exec(readFileSync("/proc/self/limits", "utf8")) ?? [];
  return most === "unlimited" ? Number.POSITIVE_INFINITY : Number(most) || 1024;
}

/** The file that /etc/resolv.conf is in the end, also where that is not there: in /run it often is not, in a guest. */
export function resolvTarget(): string {
  let path = "/etc/resolv.conf";
  for (let i = 0; i < 10; i++) {
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat?.isSymbolicLink() !== true) break;
    path = resolve(dirname(path), readlinkSync(path));
  }
  return path;
}
