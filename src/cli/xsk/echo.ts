// SPDX-License-Identifier: MIT
import { isIP } from "node:net";
import type { Command } from "commander";
import { interfaceName, leaf, parser, usage } from "../command.js";
import type { Context } from "../context.js";
import { type AllQueuesArguments, allQueues, type SocketArguments, socketOptions } from "./options.js";
import type { Side, Work } from "./run.js";

interface Own {
  address?: string[];
  reflect?: boolean;
}

type EchoArguments = (SocketArguments | AllQueuesArguments) & Own;

export function registerEcho(xsk: Command, context: Context): void {
  const command = leaf(xsk, "echo", "answer ARP, ping, ping -6 and UDP port 7, as a host; ends with Ctrl-C", [
    ["xdpctl xsk echo veth1 --stats", "for the interface's own addresses; show where the packets went"],
    ["xdpctl xsk echo veth1 --address 10.0.0.9", "for this address, which the interface need not have"],
    ["xdpctl xsk echo eth0 --protocol udp --port 7", "only what comes to UDP port 7; the rest goes to the stack"],
    ["xdpctl xsk echo eth0 --queue all --stats", "a worker for each queue; each in the table, and all together"],
    ["xdpctl xsk echo veth1 --reflect --for 10s --json", "send back everything, MAC addresses swapped"],
  ]);
  allQueues(socketOptions(command.argument("<interface>", "whose frames", parser(interfaceName))))
    .option("--address <address>", "answer for this one, not the interface's own; may be given again", collect)
    .option("--reflect", "send every frame back, MAC addresses swapped")
    .action(async (name: string, given: EchoArguments) => {
      if (given.reflect === true && given.address !== undefined)
        throw usage("--reflect looks at no addresses", "leave out --address or --reflect");
      const reflects = given.reflect === true;
      if (given.queue === "all") {
        const { serveQueues } = await import("./all-queues.js");
        const addresses = reflects ? [] : (await identity(name, given.address)).addresses;
        return serveQueues(context, name, given, reflects ? "reflect" : "echo", addresses);
      }
      const { serveInterfaces } = await import("./run.js");
      const { reflect } = await import("./queue-work.js");
      const begin = async (): Promise<Work> => ({
        sides: [reflects ? { handler: reflect } : await echo(name, given.address)],
      });
      await serveInterfaces(context, [name], given, begin, given);
    });
}

function collect(text: string, before: string[] = []): string[] {
  if (isIP(text) === 0) throw usage(`${JSON.stringify(text)} is no address`, "write 198.51.100.7 or 2001:db8::7");
  return [...before, text];
}

/** The interface's own, where none are given. */
async function identity(name: string, given: readonly string[] | undefined) {
  const { interfaceFacts } = await import("./interface.js");
  const { mac, addresses } = interfaceFacts(name);
  const own = given ?? addresses;
  // Of an interface that isn't there, whoever opens it says so.
  if (own.length === 0 && mac !== "")
    throw usage(`${name} has no address to answer for`, "give it one, or name one: --address 10.0.0.9");
  return { mac, addresses: own };
}

async function echo(name: string, given: readonly string[] | undefined): Promise<Side> {
  const { EchoHost } = await import("../../packet/index.js");
  const { answeredBy } = await import("./queue-work.js");
  const counts = { answered: 0 };
  const host = new EchoHost(await identity(name, given));
  return { handler: answeredBy(host, () => void counts.answered++), counts };
}
