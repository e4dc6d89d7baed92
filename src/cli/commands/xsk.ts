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

/** `xdpctl xsk`: packets in user space, by AF_XDP. */
export function register(program: Command, context: Context): void {
  const xsk = group(program, "xsk", "AF_XDP: packets in user space, past the network stack", [
    ["xdpctl xsk echo veth1 --stats", "send every frame back, MAC addresses swapped"],
    ["xdpctl xsk drop veth1 --port 9000 --protocol udp", "drop what comes to UDP port 9000"],
    ["xdpctl xsk send veth0 --to 10.0.0.5:9000 --rate 100k --for 5s", "send UDP frames at a rate"],
    ["xdpctl xsk dump veth1 -w frames.pcapng", "take frames into a file"],
  ]);
  registerEcho(xsk, context);
  registerDrop(xsk, context);
  registerSend(xsk, context);
  registerLatency(xsk, context);
  registerThroughput(xsk, context);
  registerDump(xsk, context);
  registerOpen(xsk, context);
}
