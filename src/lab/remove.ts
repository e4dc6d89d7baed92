// SPDX-License-Identifier: MIT
import { lstatSync, readdirSync, readlinkSync, rmdirSync, rmSync, unlinkSync } from "node:fs";
import { MNT_DETACH, unmount } from "../linux/index.js";
import { kindOf } from "./kinds/index.js";
import { binDir, LABS_DIR, labDir, NETNS_DIR, NETNS_MARK, RUN_DIR } from "./paths.js";
import { endProcesses, machineProcesses } from "./processes.js";
import { bootId, type LabState } from "./state.js";

/**
 * Removes a lab's processes, names, mounts and files; the kernel ends the namespaces with their links, programs and bpffs
 * when the last of these is gone. Only what the lab's own directory vouches for is touched.
 */
export function removeLab(name: string, state: LabState | undefined): void {
  if (state !== undefined && state.boot === bootId()) {
    for (const kind of state.started ?? []) kindOf({ kind }).stop?.(state);
    endProcesses(machineProcesses(state));
  }
  unlinkNames(name);
  // The machines' files are mounts inside of this one: it takes them along.
  while (unmount(labDir(name), MNT_DETACH) === 0);
  rmSync(labDir(name), { recursive: true, force: true });
  rmSync(binDir(name), { recursive: true, force: true });
  removeEmpty();
}

/** Removes the names in /run/netns that point into the lab's directory: no other name is ours. */
export function unlinkNames(lab: string): void {
  for (const [path, target] of labNamesInNetns()) if (target.startsWith(`${labDir(lab)}/`)) unlinkSync(path);
}

/** Our names in /run/netns, and what they point to. */
export function labNamesInNetns(): [path: string, target: string][] {
  let entries: string[];
  try {
    entries = readdirSync(NETNS_DIR);
  } catch {
    return [];
  }
  return entries.flatMap((entry): [string, string][] => {
    const path = `${NETNS_DIR}/${entry}`;
    if (lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() !== true) return [];
    const target = readlinkSync(path);
    return target.startsWith(`${LABS_DIR}/`) ? [[path, target]] : [];
  });
}

/** With the last lab go the directories that were made for labs. */
export function removeEmpty(): void {
  const remove = (dir: string): boolean => {
    try {
      rmdirSync(dir);
      return true;
    } catch {
      return false;
    }
  };
  if (!remove(LABS_DIR) && lstatSync(LABS_DIR, { throwIfNoEntry: false }) !== undefined) return;
  remove(`${RUN_DIR}/bin`);
  if (lstatSync(NETNS_MARK, { throwIfNoEntry: false }) !== undefined) {
    remove(NETNS_DIR);
    rmSync(NETNS_MARK, { recursive: true, force: true });
  }
  remove(RUN_DIR);
}
