// SPDX-License-Identifier: MIT
import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { guestFiles } from "../kinds/vm/files.js";
import type { Lab } from "../lab.js";

/** What a lab's guests, their QEMUs and supervisors wrote, by the paths in a bundle: the files go with the lab. */
export function readGuestFiles({ name, spec }: Lab): ReadonlyMap<string, Uint8Array> {
  const found = new Map<string, Uint8Array>();
  for (const node of spec.nodes.filter((one) => one.kind === "vm")) {
    const { dir, console, dmesg, log } = guestFiles(name, node.name);
    for (const path of [console, dmesg, log, join(dir, "qemu.log")]) {
      try {
        found.set(join("guests", node.name, basename(path)), readFileSync(path));
      } catch {
        // A guest that was never started wrote nothing.
      }
    }
  }
  return found;
}
