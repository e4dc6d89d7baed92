// SPDX-License-Identifier: MIT
import { existsSync, lstatSync, mkdirSync, readlinkSync, rmSync, symlinkSync, unlinkSync } from "node:fs";
import { XdpctlError } from "../errors/index.js";
import { MNT_DETACH, unmount } from "../linux/index.js";
import { NETNS_DIR, NETNS_MARK, netnsLink, netnsName, nodeDir } from "./paths.js";
import type { LabState } from "./state.js";

/** A name in /run/netns that leads elsewhere is someone else's, and stays. */
export function checkNames(state: LabState, nodes: readonly string[]): void {
  for (const node of nodes) {
    const path = netnsLink(state.name, node);
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found === undefined) continue;
    if (found.isSymbolicLink() && readlinkSync(path) === `${nodeDir(state.name, node)}/net`) continue;
    throw new XdpctlError(
      "XDPCTL_E_LAB_CONFLICT",
      `there is a namespace ${netnsName(state.name, node)} already, and it is not of the lab ${state.name}`,
    );
  }
}

/** Gives a machine its name in /run/netns: a link, so that nothing but the lab's directory holds the namespace. */
export function nameMachine(state: LabState, node: string): void {
  const path = netnsLink(state.name, node);
  if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) return;
  if (!existsSync(NETNS_DIR)) {
    mkdirSync(NETNS_DIR, { recursive: true });
    mkdirSync(NETNS_MARK, { recursive: true });
  }
  symlinkSync(`${nodeDir(state.name, node)}/net`, path);
}

/** Removes what is left of one machine. */
export function forgetMachine(state: LabState, node: string): void {
  const dir = nodeDir(state.name, node);
  for (const kind of ["net", "mnt", "uts", "bpf"]) while (unmount(`${dir}/${kind}`, MNT_DETACH) === 0);
  rmSync(dir, { recursive: true, force: true });
  const path = netnsLink(state.name, node);
  if (lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() && readlinkSync(path) === `${dir}/net`) {
    unlinkSync(path);
  }
  delete state.machines[node];
}
