// SPDX-License-Identifier: MIT
import { readFileSync } from "node:fs";

let known: string | undefined;

/** Names this boot of the machine: what an earlier one left behind has another. */
export function bootId(): string {
  known ??= readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  return known;
}
