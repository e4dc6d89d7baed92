// SPDX-License-Identifier: MIT
import type { Command } from "commander";
import { group } from "../command.js";
import type { Context } from "../context.js";
import { registerDetour } from "../mptcp/detour.js";
import { registerEndpoint } from "../mptcp/endpoint.js";
import { registerEvents } from "../mptcp/events.js";
import { registerLimits } from "../mptcp/limits.js";
import { registerStatus } from "../mptcp/status.js";

/** `xdpctl mptcp`: the kernel's multipath TCP in this network namespace. */
export function register(program: Command, context: Context): void {
  const mptcp = group(program, "mptcp", "multipath TCP: connections and their subflows, endpoints, limits, events", [
    ["xdpctl mptcp status", "the connections with their subflows"],
    ["xdpctl mptcp endpoint add 10.0.2.1 --dev eth1", "connections get a second subflow, by eth1"],
    ["xdpctl mptcp events", "what happens to connections, as it happens"],
  ]);
  registerStatus(mptcp, context);
  registerEndpoint(mptcp, context);
  registerLimits(mptcp, context);
  registerEvents(mptcp, context);
  registerDetour(mptcp, context);
}
