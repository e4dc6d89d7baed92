// SPDX-License-Identifier: MIT
import type { Command } from "commander";
import type { Frame } from "../../xsk/index.js";
import { interfaceName, leaf, parser } from "../command.js";
import type { Context } from "../context.js";
import { type SocketArguments, socketOptions } from "./options.js";

/** Swaps the MAC addresses and sends the frame back. */
export function reflect(frame: Frame): void {
  if (frame.swapMacs()) frame.send();
}

export function registerEcho(xsk: Command, context: Context): void {
  const command = leaf(xsk, "echo", "send every frame back, MAC addresses swapped; ends with Ctrl-C", [
    ["xdpctl xsk echo veth1 --stats", "and show where the packets went, every second"],
    ["xdpctl xsk echo eth0 --protocol udp --port 7", "only what comes to UDP port 7; the rest goes to the stack"],
    ["xdpctl xsk echo veth1 --for 10s --json", "one JSON object at the end"],
  ]);
  socketOptions(command.argument("<interface>", "whose frames", parser(interfaceName))).action(
    async (name: string, given: SocketArguments) => {
      const { serveInterface } = await import("./run.js");
      await serveInterface(context, name, given, reflect);
    },
  );
}
