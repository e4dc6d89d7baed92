// SPDX-License-Identifier: MIT
import type { NodeSpec } from "../spec.js";
import { container } from "./container/index.js";
import type { Kind } from "./kind.js";
import { netns } from "./netns.js";
import { vm } from "./vm/index.js";

export type { Argv, Ending, Environment, Kind, LinkWish, Place, Ran, SpawnOptions } from "./kind.js";

/** One entry a kind; its own files do nothing until a machine is of that kind. */
const KINDS: Readonly<Record<NodeSpec["kind"], Kind>> = { netns, container, vm };

export const kindOf = (node: Pick<NodeSpec, "kind">): Kind => KINDS[node.kind];

export const everyKind = (): Kind[] => Object.values(KINDS);

/** Machines by kind, in the order of the first of each. */
export function byKind(nodes: readonly NodeSpec[]): Map<Kind, NodeSpec[]> {
  const found = new Map<Kind, NodeSpec[]>();
  for (const node of nodes) {
    const same = found.get(kindOf(node));
    if (same === undefined) found.set(kindOf(node), [node]);
    else same.push(node);
  }
  return found;
}
