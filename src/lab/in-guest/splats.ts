// SPDX-License-Identifier: MIT
import { readFileSync } from "node:fs";
import { dirname } from "node:path";
import { findSplats } from "../../vm/index.js";
import { guestFilesIn } from "../kinds/vm/files.js";

/** The splats in the kernel's log of a guest, or else, for one that gave up, on its console. */
export function splatsBeside(console: string): string[] {
  const { dmesg } = guestFilesIn(dirname(console));
  const found = findSplats(linesOf(dmesg));
  return (found.length > 0 ? found : findSplats(linesOf(console))).map(({ title }) => title);
}

function linesOf(path: string): string[] {
  try {
    return readFileSync(path, "utf8").split("\n");
  } catch {
    return [];
  }
}
