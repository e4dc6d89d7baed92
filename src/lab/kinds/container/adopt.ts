// SPDX-License-Identifier: MIT
import { openSync } from "node:fs";
import { inNamespaces, MNT_DETACH, namespaceInode, unmount } from "../../../linux/index.js";
import { requests } from "../../../netlink/index.js";
import { adoptNetwork, Machine, openMachine } from "../../machine.js";
import { configureNode, interfaceIndices } from "../../network.js";
import { nodeDir } from "../../paths.js";
import type { NodeSpec } from "../../spec.js";
import type { LabState } from "../../state.js";

/**
 * Makes a container's own network namespace the machine's: docker lets no container join one that is there. The links move
 * over, with their settings but without their addresses, and are configured anew.
 */
export function adoptNamespace(state: LabState, node: NodeSpec, pid: number): void {
  const path = `/proc/${pid}/ns/net`;
  const file = `${nodeDir(state.name, node.name)}/net`;
  if (namespaceInode(path) === namespaceInode(file)) return;
  const fd = openSync(path, "r");
  const now = inNamespaces({ net: fd }, () => {
    adoptNetwork(node.forward);
    return new Machine(node.name, { net: fd }, true);
  });
  try {
    const old = openMachine(state.name, node.name);
    const moves = [...interfaceIndices(state, node.name)].map(([name, index]) =>
      requests.change(index, { netns: fd }, `moving ${name} into the container`),
    );
    try {
      old.route.execute(moves);
    } finally {
      old.close();
    }
    configureNode(state, node, undefined, now);
    while (unmount(file, MNT_DETACH) === 0);
    state.machines[node.name] = { ...state.machines[node.name], ...now.pin(state.name) };
  } finally {
    now.close();
  }
}
