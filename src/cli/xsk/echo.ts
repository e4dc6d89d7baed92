// SPDX-License-Identifier: MIT
import { isIP } from "node:net";
import type { Command } from "commander";
import type { Frame, XskSocket } from "../../xsk/index.js";
import { interfaceName, leaf, parser, usage } from "../command.js";
import type { Context } from "../context.js";
import { type SocketArguments, socketOptions } from "./options.js";
import type { Side, Work } from "./run.js";

interface EchoArguments extends SocketArguments {
  address?: string[];
  reflect?: boolean;
}

export function registerEcho(xsk: Command, context: Context): void {
  const command = leaf(xsk, "echo", "answer ARP, ping, ping -6 and UDP port 7, as a host; ends with Ctrl-C", [
    ["xdpctl xsk echo veth1 --stats", "for the interface's own addresses; show where the packets went"],
    ["xdpctl xsk echo veth1 --address 10.0.0.9", "for this address, which the interface need not have"],
    ["xdpctl xsk echo eth0 --protocol udp --port 7", "only what comes to UDP port 7; the rest goes to the stack"],
    ["xdpctl xsk echo veth1 --reflect --for 10s --json", "send back everything, MAC addresses swapped"],
  ]);
  socketOptions(command.argument("<interface>", "whose frames", parser(interfaceName)))
    .option("--address <address>", "answer for this one, not the interface's own; may be given again", collect)
    .option("--reflect", "send every frame back, MAC addresses swapped")
    .action(async (name: string, given: EchoArguments) => {
      if (given.reflect === true && given.address !== undefined)
        throw usage("--reflect looks at no addresses", "leave out --address or --reflect");
      const { serveInterfaces } = await import("./run.js");
      const begin = async ([nic]: readonly XskSocket[]): Promise<Work> => ({
        sides: [given.reflect === true ? { handler: reflect } : await echo(nic as XskSocket, given.address)],
      });
      await serveInterfaces(context, [name], given, begin, given);
    });
}

function collect(text: string, before: string[] = []): string[] {
  if (isIP(text) === 0) throw usage(`${JSON.stringify(text)} is no address`, "write 198.51.100.7 or 2001:db8::7");
  return [...before, text];
}

async function echo(nic: XskSocket, given: readonly string[] | undefined): Promise<Side> {
  const { EchoHost } = await import("../../packet/index.js");
  const { interfaceFacts } = await import("./interface.js");
  const { mac, addresses } = interfaceFacts(nic);
  const own = given ?? addresses;
  if (own.length === 0)
    throw usage(`${nic.interface} has no address to answer for`, "give it one, or name one: --address 10.0.0.9");
  const host = new EchoHost({ mac, addresses: own });
  const counts = { answered: 0 };
  const handler = (frame: Frame): void => {
    if (!host.answer(frame)) return;
    counts.answered++;
    frame.send();
  };
  return { handler, counts };
}

/** Swaps the MAC addresses and sends the frame back. */
function reflect(frame: Frame): void {
  if (frame.swapMacs()) frame.send();
}
