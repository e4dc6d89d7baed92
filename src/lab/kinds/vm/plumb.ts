// SPDX-License-Identifier: MIT
import { createHash } from "node:crypto";
import { type Request, requests } from "../../../netlink/index.js";
import type { Machine } from "../../machine.js";
import { interfaceIndices } from "../../network.js";
import type { NodeSpec } from "../../spec.js";
import type { LabState } from "../../state.js";
import type { GuestNic } from "./files.js";

/** No interface of a lab file may begin so. */
const OURS = "~";

/** Named after the link's end: another link has another. */
const bridgeOf = (index: number): string => `${OURS}br${index}`;

/** A locally administered address, the same with each deploy. No end of the link on the host may have it. */
function macOf(lab: string, node: string, name: string): string {
  const hash = createHash("sha256").update(`${lab}/${node}/${name}`).digest();
  return ["02", ...[...hash.subarray(0, 5)].map((byte) => byte.toString(16).padStart(2, "0"))].join(":");
}

/** The NICs of a guest, in the order of the file. */
export function nicsOf(state: LabState, node: NodeSpec): GuestNic[] {
  const indices = interfaceIndices(state, node.name);
  return node.interfaces.map(({ name, mac }) => {
    const end = indices.get(name) ?? 0;
    return { name, mac: mac?.toLowerCase() ?? macOf(state.name, node.name, name), bridge: bridgeOf(end), end };
  });
}

/**
 * Puts each end of a link on a bridge, whose other port the guest's NIC will be. The bridge learns nothing: whatever comes
 * in at one port goes out at the other, as through a cable. What belonged to links that are gone goes.
 */
export function plumb(state: LabState, node: NodeSpec, _before: NodeSpec | undefined, at: Machine): void {
  const indices = interfaceIndices(state, node.name);
  const live = new Map(at.route.links().map((link) => [link.name, link]));
  const list: Request[] = [];
  const wanted = new Set([...indices.values()].map(bridgeOf));
  for (const { name, index } of live.values()) {
    if (name.startsWith(OURS) && !wanted.has(name)) list.push(requests.deleteLink(index, `deleting ${name}`));
  }
  for (const { name, mtu } of node.interfaces) {
    const end = indices.get(name);
    if (end === undefined) continue;
    const bridge = bridgeOf(end);
    let master = live.get(bridge)?.index as number | undefined;
    if (master === undefined) {
      master = state.nextIndex++;
      const plain = { multicastSnooping: false, learning: false };
      list.push(requests.bridge({ name: bridge, index: master, mtu, up: true, ...plain }));
    }
    list.push(requests.change(end, { master, mtu, up: true }, `joining ${node.name}:${name} with its guest`));
  }
  at.route.execute(list);
}
