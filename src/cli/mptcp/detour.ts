// SPDX-License-Identifier: MIT
import type { Command } from "commander";
import { group, leaf, usage } from "../command.js";
import type { Context } from "../context.js";
import { parseCount, parseDuration } from "../quantities.js";
import { askDetour, ipv4 } from "./ask.js";
import { registerDetourRun } from "./detour-run.js";
import { registerDetourServe } from "./detour-serve.js";
import { registerDetourKey } from "./vpn-key.js";

const parsePort = (text: string): number => parseCount("port", text, 1, 65_535);

export function registerDetour(mptcp: Command, context: Context): void {
  const detour = group(
    mptcp,
    "detour",
    "more paths to a server through other hosts, by NAT (the MProxy protocol) or OpenVPN",
  );
  registerDetourServe(detour, context);
  leaf(detour, "request <detour> <remote>", "ask a detour for a way to a server, once", [
    ["xdpctl mptcp detour request 10.9.0.30 10.9.0.10:7000", "prints the detour's port"],
    ["xdpctl mptcp detour request 10.9.0.30 10.9.0.10:80 --want 80", "another one if that is taken"],
  ])
    .option("--want <port>", "the detour's port that one would like; 0, the default, is any", (text) =>
      parseCount("port", text, 0, 65_535),
    )
    .option("--from <address>", "the address that will use it", ipv4)
    .option("--timeout <duration>", "how long an answer is waited for", parseDuration, 5)
    .action(async (host: string, where: string, options: { want?: number; from?: string; timeout: number }) => {
      const [remote = "", portText, ...rest] = where.split(":");
      if (portText === undefined || rest.length > 0)
        throw usage(`${JSON.stringify(where)} is no address with a port`, "`192.0.2.1:80`");
      const remotePort = parsePort(portText);
      const port = await askDetour({
        detour: ipv4(host),
        remote: ipv4(remote),
        remotePort,
        timeout: options.timeout * 1000,
        ...(options.want === undefined ? {} : { wish: options.want }),
        ...(options.from === undefined ? {} : { from: options.from }),
      });
      context.terminal.line(`${remote}:${remotePort} through ${host}:${port}`);
      context.terminal.json({ detour: host, port, remote, remotePort });
    });
  registerDetourRun(detour, context);
  registerDetourKey(detour, context);
}
