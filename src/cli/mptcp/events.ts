// SPDX-License-Identifier: MIT
import type { Command } from "commander";
import { errnoText, interfaceName, needCapabilities } from "../../linux/index.js";
import type { MptcpEvent } from "../../netlink/index.js";
import { leaf } from "../command.js";
import { aborted, type Context, settle } from "../context.js";
import { parseCount } from "../quantities.js";
import { hostPort, tokenText } from "./socket.js";

/** `12:04:05.120  sub_established  3f2a1b0c  10.0.2.1:4711 → 10.0.9.1:80  id 1→0  eth1`. */
function eventText(event: MptcpEvent): string {
  const from = event.source === undefined ? undefined : hostPort(event.source, event.sourcePort);
  const to = event.destination === undefined ? undefined : hostPort(event.destination, event.destinationPort);
  const ids = [event.localId, event.remoteId];
  return [
    event.time.slice(11, 23),
    event.event.padEnd(16),
    event.token === undefined ? "" : tokenText(event.token),
    from === undefined && to === undefined ? "" : [from, to].filter((one) => one !== undefined).join(" → "),
    ids.every((id) => id === undefined) ? "" : `id ${ids.filter((id) => id !== undefined).join("→")}`,
    event.index === undefined || event.index === 0 ? "" : (interfaceName(event.index) ?? `interface ${event.index}`),
    event.backup === true ? "backup" : "",
    event.server === undefined ? "" : event.server ? "accepted" : "connected",
    event.error === undefined || event.error === 0 ? "" : errnoText(event.error),
    event.resetReason === undefined ? "" : `reset: reason ${event.resetReason}`,
  ]
    .filter((part) => part !== "")
    .join("  ");
}

export function registerEvents(mptcp: Command, context: Context): void {
  leaf(mptcp, "events", "connections, subflows and announced addresses, as they come and go", [
    ["xdpctl mptcp events", "until Ctrl-C"],
    ["xdpctl mptcp events --json --count 1", "the next one, as JSON"],
  ])
    .option("-n, --count <number>", "end after so many events", (text) => parseCount("count", text))
    .action(async (options: { count?: number }) => {
      needCapabilities("hearing the events of MPTCP", "CAP_NET_ADMIN");
      const { monitorMptcp } = await import("../../netlink/index.js");
      const live = await context.live();
      const json = context.terminal.jsonMode;
      let left = options.count ?? Number.POSITIVE_INFINITY;
      let enough: () => void = () => {};
      const done = new Promise<void>((resolve) => {
        enough = resolve;
      });
      const heard = monitorMptcp(await context.loop(), {
        event: (event) => {
          if (left <= 0) return;
          live.write(`${json ? JSON.stringify(event) : eventText(event)}\n`);
          if (--left <= 0) enough();
        },
        lost: () => {
          const lost = { type: "lost", time: new Date().toISOString(), where: "netlink", name: "mptcp_pm", count: 1 };
          live.write(`${json ? JSON.stringify(lost) : `${lost.time.slice(11, 23)}  events were lost`}\n`);
        },
      });
      try {
        await Promise.race([done, aborted(context.signal)]);
        await settle(live.drained(), context.signal);
      } finally {
        heard.close();
        live.close();
      }
    });
}
