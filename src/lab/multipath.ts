// SPDX-License-Identifier: MIT
import { type MptcpEndpoint, type MptcpFlag, MptcpSocket } from "../netlink/index.js";
import type { LabDocument } from "./document.js";
import type { Machine } from "./machine.js";
import { shown } from "./shown.js";
import type { MptcpSpec, NodeSpec } from "./spec.js";
import type { NodeDraft } from "./topology.js";

/** What a new network namespace has. */
const DEFAULTS = { subflows: 2, accepted: 0 } as const;

/** What a machine's `mptcp` comes to: an endpoint for each address of each interface. */
export function mptcpSpec(document: LabDocument, node: NodeDraft): MptcpSpec | undefined {
  const given = node.settings.mptcp;
  if (given === undefined) return undefined;
  const endpoints = Object.entries(given.endpoints ?? {}).flatMap(([name, words]) => {
    const flags = typeof words === "string" ? [words] : words;
    const path = [...node.path, "mptcp", "endpoints", name];
    const draft = node.byName.get(name);
    if (draft === undefined) {
      const hint = document.hint(name, node.byName.keys());
      document.problem(path, `${shown(node.name)} has no interface ${shown(name)}${hint}: no link names it`);
    }
    if (flags.includes("signal") && flags.includes("fullmesh")) {
      document.problem(path, "an endpoint is `signal` or `fullmesh`, not both");
    }
    return (draft?.addresses ?? []).map((prefix) => ({
      interface: name,
      address: prefix.split("/")[0] as string,
      flags: flags as MptcpSpec["endpoints"][number]["flags"],
    }));
  });
  const { subflows = DEFAULTS.subflows, accepted = DEFAULTS.accepted } = given;
  return { subflows, accepted, endpoints };
}

const sameFlags = (a: readonly MptcpFlag[], b: readonly MptcpFlag[]): boolean =>
  a.every((flag) => b.includes(flag)) && b.every((flag) => a.includes(flag));

/** Gives a machine its MPTCP limits and endpoints; those that the file had before and has no more are taken away. */
export function configureMptcp(
  node: NodeSpec,
  before: NodeSpec | undefined,
  indices: ReadonlyMap<string, number>,
  at: Machine,
): void {
  const old = at.fresh ? undefined : before?.mptcp;
  const wanted = node.mptcp ?? { ...DEFAULTS, endpoints: [] };
  if (node.mptcp === undefined && old === undefined) return;
  const known = new Set([...wanted.endpoints, ...(old?.endpoints ?? [])].map((one) => one.address));
  at.inNetwork(() => {
    const socket = new MptcpSocket();
    try {
      converge(socket, wanted, known, indices);
    } finally {
      socket.close();
    }
  });
}

/** Brings the path manager to what is wanted; endpoints that the lab never named are left alone. */
function converge(
  socket: MptcpSocket,
  wanted: MptcpSpec,
  known: ReadonlySet<string>,
  indices: ReadonlyMap<string, number>,
): void {
  socket.setLimits({ subflows: wanted.subflows, accepted: wanted.accepted });
  const right = (one: MptcpEndpoint): boolean =>
    wanted.endpoints.some(
      ({ address, interface: name, flags }) =>
        address === one.address && indices.get(name) === one.index && sameFlags(flags, one.flags),
    );
  const kept = socket.endpoints().filter((one) => {
    // What somebody added by hand is theirs.
    if (!known.has(one.address) || right(one)) return true;
    socket.deleteEndpoint(one.id);
    return false;
  });
  for (const { address, interface: name, flags } of wanted.endpoints) {
    const index = indices.get(name);
    if (kept.some((one) => one.address === address)) continue;
    socket.addEndpoint({ address, flags, ...(index === undefined ? {} : { index }) });
  }
}
