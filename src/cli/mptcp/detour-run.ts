// SPDX-License-Identifier: MIT
import type { Command } from "commander";
import { XdpctlError } from "../../errors/index.js";
import { interfaceIndex, needCapabilities } from "../../linux/index.js";
import type { MptcpEvent, MptcpSocket } from "../../netlink/index.js";
import { leaf } from "../command.js";
import { aborted, type Context, settle } from "../context.js";
import { parseDuration } from "../quantities.js";
import { askDetour, ipv4 } from "./ask.js";
import { Chooser } from "./choose.js";
import { hostPort, tokenText } from "./socket.js";
import { setForNow } from "./sysctl.js";

interface RunOptions {
  from?: string;
  dev?: string;
  timeout: number;
  policy?: string;
}

/** The address id of the subflows through detours; 0 is the first subflow's. */
const LOCAL_ID = 1;

export function registerDetourRun(detour: Command, context: Context): void {
  leaf(detour, "run <detour...>", "give each new MPTCP connection a subflow through each detour, until Ctrl-C", [
    ["xdpctl mptcp detour run 10.9.0.30", "from the address that the connection has"],
    ["xdpctl mptcp detour run 10.9.0.30 --from 10.2.0.10 --dev eth1", "from another one"],
    ["xdpctl mptcp detour run 10.9.0.30 10.9.0.31 --policy examples/mptcp/detours.lua", "a Lua script chooses"],
  ])
    .option("--from <address>", "the address that the subflows come from", ipv4)
    .option("-d, --dev <interface>", "the interface that they leave by")
    .option("--policy <file>", "a Lua script whose function `choose` says which detours a connection uses")
    .option("--timeout <duration>", "how long a detour is waited for", parseDuration, 5)
    .action(async (detours: string[], options: RunOptions) => {
      const hosts = detours.map(ipv4);
      const index = options.dev === undefined ? 0 : interfaceIndex(options.dev);
      if (index === undefined) {
        throw new XdpctlError("XDPCTL_E_NO_INTERFACE", `there is no interface ${options.dev} in this namespace`);
      }
      needCapabilities("opening subflows", "CAP_NET_ADMIN");
      const { MptcpSocket, monitorMptcp } = await import("../../netlink/index.js");
      const socket = new MptcpSocket();
      const live = await context.live();
      const end: (() => void)[] = [() => socket.close(), () => live.close()];
      let chooser: Chooser | undefined;
      const tell = (event: MptcpEvent, detour: string | undefined, port: number | undefined, error?: unknown): void => {
        live.write(`${resultText(event, detour, port, error, context.terminal.jsonMode)}\n`);
      };
      try {
        if (options.policy !== undefined) {
          chooser = await Chooser.load(options.policy, (text) => context.terminal.note(text));
        }
        // The kernel's own path manager opens subflows to addresses of the peer only.
        end.unshift(setForNow("mptcp/pm_type", "1"));
        const heard = monitorMptcp(await context.loop(), {
          event: (event) => {
            if (event.event !== "established" || event.server === true || event.destination?.includes(".") !== true)
              return;
            const go = (host: string): void => {
              through(socket, event, host, { ...options, index }).then(
                (port) => tell(event, host, port),
                (error) => tell(event, host, undefined, error),
              );
            };
            if (chooser === undefined) hosts.forEach(go);
            else {
              chooser.choose(event, hosts).then(
                (chosen) => chosen.forEach(go),
                (error) => tell(event, undefined, undefined, error),
              );
            }
          },
          lost: () => context.terminal.note("events were lost: some connections may have no detour"),
        });
        end.unshift(() => heard.close());
        context.terminal.note(`new connections get a subflow through ${hosts.join(", ")}; Ctrl-C ends that`);
        await aborted(context.signal);
        await settle(live.drained(), context.signal);
      } finally {
        for (const step of end) step();
        await chooser?.close();
      }
    });
}

/** Asks the detour, and opens the subflow; resolves to the detour's port. */
async function through(
  socket: MptcpSocket,
  event: MptcpEvent,
  detour: string,
  { from, timeout, index }: { from?: string; timeout: number; index: number },
): Promise<number> {
  const { token = 0, destination: remote = "", destinationPort: remotePort = 0, source = "" } = event;
  const local = from ?? source;
  const port = await askDetour({ detour, remote, remotePort, from: local, timeout: timeout * 1000 });
  socket.createSubflow(token, { address: local, id: LOCAL_ID, index }, { address: detour, port });
  return port;
}

function resultText(
  event: MptcpEvent,
  detour: string | undefined,
  port: number | undefined,
  error: unknown,
  json: boolean,
): string {
  const time = new Date().toISOString();
  const { token = 0, destination: remote = "", destinationPort: remotePort = 0 } = event;
  const failed = error === undefined ? undefined : XdpctlError.wrap(error);
  if (json) {
    const shown = { type: "detour", time, token, remote, remotePort, detour: detour ?? null, port: port ?? null };
    return JSON.stringify(failed === undefined ? shown : { ...shown, error: failed });
  }
  const way = `${tokenText(token)}  ${hostPort(remote, remotePort)}${detour === undefined ? "" : ` through ${hostPort(detour, port)}`}`;
  return `${time.slice(11, 23)}  ${way}${failed === undefined ? "" : `  failed: ${failed.message}  ${failed.code}`}`;
}
