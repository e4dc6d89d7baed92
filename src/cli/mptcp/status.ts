// SPDX-License-Identifier: MIT
import type { Command } from "commander";
import { XdpctlError } from "../../errors/index.js";
import { interfaceName, networkCounters } from "../../linux/index.js";
import type { MptcpConnection, MptcpSubflow } from "../../netlink/index.js";
import { leaf } from "../command.js";
import type { Context } from "../context.js";
import { formatCompact } from "../quantities.js";
import { hostPort, tokenText, withMptcp } from "./socket.js";
import { mptcpEnabled, pathManager, sayPathManager } from "./sysctl.js";

const COLUMNS = [
  ...["TOKEN", "STATE", "FROM", "TO", "IDS", "INTERFACE"].map((title) => ({ title })),
  ...["RTT", "ACKED", "RECEIVED", "RESENT"].map((title) => ({ title, align: "right" as const })),
];

const ends = (one: MptcpConnection | MptcpSubflow): [string, string] => [
  hostPort(one.source, one.sourcePort),
  one.state === "listening" ? "*" : hostPort(one.destination, one.destinationPort),
];

function subflowRow(one: MptcpSubflow): (string | number | null)[] {
  const ids = `${one.localId}→${one.remoteId}${one.backup ? " backup" : ""}`;
  const rtt = one.rtt === 0 ? null : `${(one.rtt / 1000).toFixed(1)}ms`;
  return [
    ...["", one.state, ...ends(one), ids, one.index === 0 ? null : (interfaceName(one.index) ?? one.index), rtt],
    ...[formatCompact(one.bytesAcked), formatCompact(one.bytesReceived), one.retransmits],
  ];
}

/** What only root may see is null for others. */
function allowed<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    if (XdpctlError.is(error, "XDPCTL_E_PERMISSION")) return null;
    throw error;
  }
}

export function registerStatus(mptcp: Command, context: Context): void {
  leaf(mptcp, "status", "the MPTCP sockets of this namespace with their subflows, and the counters that are not zero", [
    ["xdpctl mptcp status", "subflows need root"],
    ["xdpctl lab exec client -- xdpctl mptcp status", "in a machine of a lab"],
    ["xdpctl mptcp status --json", "with limits, endpoints and all counters"],
  ]).action(async () => {
    const { mptcpConnections } = await import("../../netlink/index.js");
    const { limits, endpoints } = await withMptcp((socket) => ({
      limits: socket.limits(),
      endpoints: allowed(() => socket.endpoints()),
    }));
    const connections = mptcpConnections();
    const counters = networkCounters("MPTcpExt") ?? new Map<string, number>();
    const { terminal } = context;
    const enabled = mptcpEnabled();
    if (!enabled) terminal.line("MPTCP is off in this namespace (net.mptcp.enabled=0): new sockets speak plain TCP");
    sayPathManager(terminal);
    if (connections.length === 0) terminal.line("no MPTCP sockets");
    else {
      terminal.table(
        COLUMNS,
        connections.flatMap((one) => [
          [
            one.token === 0 ? null : tokenText(one.token),
            one.fallback ? `${one.state} (tcp)` : one.state,
            ...ends(one),
            ...Array<null>(6).fill(null),
          ],
          ...one.subflows.map(subflowRow),
        ]),
      );
    }
    const some = [...counters].filter(([, value]) => value !== 0).map(([name, value]) => `${name} ${value}`);
    if (some.length > 0) terminal.line(`counters: ${some.join(", ")}`);
    terminal.json({
      enabled,
      pathManager: pathManager(),
      limits,
      endpoints,
      connections,
      counters: Object.fromEntries(counters),
    });
  });
}
