// SPDX-License-Identifier: MIT
import { readdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { MS_BIND, MS_REC } from "../linux/index.js";

/** What the agent of a guest is told to do: a name and arguments (operations.c). */
export type Step = readonly string[];

export const MS_RDONLY = 1;
export const MS_REMOUNT = 32;

export function mount(source: string, target: string, type: string, flags = 0, data = ""): Step {
  return ["mount", source, target, type, String(flags), data];
}

export function bind(from: string, to: string, flags = 0): Step {
  return mount(from, to, "", MS_BIND | flags);
}

/**
 * A folder of this machine with one more, empty folder in it, where no layer takes it: a tmpfs with all that the folder has,
 * each mounted from `from`, where the guest has the folder as it is.
 */
export function withFolder(folder: string, name: string, from: string, to: string): Step[] {
  const steps: Step[] = [mount("shadow", to, "tmpfs", 0, "mode=755")];
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const target = join(to, entry.name);
    if (entry.isSymbolicLink()) {
      steps.push(["symlink", readlinkSync(join(folder, entry.name)), target]);
    } else if (entry.isDirectory() || entry.isFile()) {
      steps.push([entry.isDirectory() ? "mkdir" : "touch", target], bind(join(from, entry.name), target, MS_REC));
    }
  }
  return [...steps, ["mkdir", join(to, name)], bind("none", to, MS_REMOUNT | MS_RDONLY)];
}
