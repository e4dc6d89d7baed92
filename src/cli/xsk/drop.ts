// SPDX-License-Identifier: MIT
import type { Command } from "commander";
import { interfaceName, leaf, parser } from "../command.js";
import type { Context } from "../context.js";
import { type AllQueuesArguments, allQueues, type SocketArguments, socketOptions } from "./options.js";

export function registerDrop(xsk: Command, context: Context): void {
  const command = leaf(xsk, "drop", "receive frames and drop them; ends with Ctrl-C", [
    ["xdpctl xsk drop veth1 --stats", "how many come in"],
    ["xdpctl xsk drop eth0 --queue all --stats", "of all queues, a worker for each"],
    ["xdpctl xsk drop eth0 --from 198.51.100.0/24", "only what comes from there; the rest goes to the stack"],
  ]);
  allQueues(socketOptions(command.argument("<interface>", "whose frames", parser(interfaceName)))).action(
    async (name: string, given: SocketArguments | AllQueuesArguments) => {
      if (given.queue === "all") {
        const { serveQueues } = await import("./all-queues.js");
        return serveQueues(context, name, given, "drop");
      }
      const { serveInterface } = await import("./run.js");
      await serveInterface(context, name, given, (frame) => frame.drop());
    },
  );
}
