// SPDX-License-Identifier: MIT
import type { Command } from "commander";
import { group } from "../command.js";
import type { Context } from "../context.js";
import { registerDump } from "../xsk/dump.js";
import { registerDrop } from "../xsk/drop.js";
import { registerEcho } from "../xsk/echo.js";
import { registerLatency } from "../xsk/latency.js";
import { registerOpen } from "../xsk/open.js";
import { registerSend } from "../xsk/send.js";
import { registerThroughput } from "../xsk/throughput.js";
import { registerChangeWord } from "../xsk/change-word.js";
import { registerFilter } from "../xsk/filter.js";
import { registerForward } from "../xsk/forward.js";
import { registerTunnel } from "../xsk/tunnel.js";

/** `xdpctl xsk`: packets in user space, by AF_XDP. */
export function register(program: Command, context: Context): void {
  const xsk = group(program, "xsk", "AF_XDP: packets in user space, past the network stack", [
    ["xdpctl xsk echo veth1 --stats", "a host that answers ping, made in user space"],
    ["xdpctl xsk forward veth0 veth2 --stats", "a wire between two interfaces"],
    ["xdpctl xsk drop veth1 --port 9000 --protocol udp", "drop what comes to UDP port 9000"],
    ["xdpctl xsk send veth0 --to 10.0.0.5:9000 --rate 100k --for 5s", "send UDP frames at a rate"],
    ["xdpctl xsk dump veth1 -w frames.pcapng", "take frames into a file"],
  ]);
  registerEcho(xsk, context);
  registerForward(xsk, context);
  registerFilter(xsk, context);
  registerChangeWord(xsk, context);
  registerTunnel(xsk, context);
  registerDrop(xsk, context);
  registerSend(xsk, context);
  registerLatency(xsk, context);
  registerThroughput(xsk, context);
  registerDump(xsk, context);
  registerOpen(xsk, context);
}
