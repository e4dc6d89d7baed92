// SPDX-License-Identifier: MIT
import type { Command } from "commander";
import { missedPackets } from "../../xsk/index.js";
import { interfaceName, leaf, parser, usage } from "../command.js";
import type { Context } from "../context.js";
import { DumpOutput } from "./dump-output.js";
import { needsEnd, type SocketArguments, socketOptions } from "./options.js";
import { openSocket } from "./run.js";
import { withSocket } from "./socket.js";

interface DumpArguments extends SocketArguments {
  hex?: true;
  write?: string;
}

export function registerDump(xsk: Command, context: Context): void {
  const command = leaf(xsk, "dump", "take frames and show them; ends with Ctrl-C", [
    ["xdpctl xsk dump veth1", "a line for each frame"],
    ["xdpctl xsk dump veth1 --hex --count 3", "their bytes, as Packetvisor prints them"],
    ["xdpctl xsk dump eth0 --protocol udp --port 53 -w dns.pcapng", "a file for Wireshark"],
  ]);
  command.addHelpText("after", "\nWhat is taken doesn't reach the network stack, and nothing can give it back.\n");
  socketOptions(command.argument("<interface>", "whose frames", parser(interfaceName)))
    .option("--hex", "the bytes of each frame")
    .option("-w, --write <file>", "write pcapng to a file; `-` is standard output")
    .action(async (name: string, given: DumpArguments) => {
      needsEnd(context, given);
      if (given.write !== undefined && given.hex === true)
        throw usage("--hex is text, and --write makes a file of packets", "leave one of them out");
      if (given.write === "-" && given.stats !== undefined)
        throw usage("standard output is the file", "leave out --stats, or write to a file");
      const limit = given.count === undefined ? {} : { limit: { left: given.count } };
      await withSocket(
        context,
        name,
        given,
        () => openSocket(name, given),
        async ({ nic, live, signal, say }) => {
          const form = given.write !== undefined ? "pcapng" : context.terminal.jsonMode ? "json" : "text";
          const output = new DumpOutput(live, form, given, name, nic.queue);
          let seen = 0;
          const timers = [setInterval(() => void (output.tick() || nic.stop()), 250)];
          if (given.for !== undefined) timers.push(setTimeout(() => nic.stop(), 1000 * given.for));
          try {
            await nic.serve(
              (frame) => {
                seen++;
                if (given.hex === true) {
                  const packet = frame.take();
                  output.hex(packet);
                  packet.free();
                } else output.frame(frame);
              },
              { wait: given.wait, signal, ...limit },
            );
          } finally {
            for (const timer of timers) clearTimeout(timer);
            output.close();
          }
          const { lost } = output;
          const missed = missedPackets(nic);
          const what = [
            `${seen} ${seen === 1 ? "frame" : "frames"}`,
            ...(lost === 0 ? [] : [`${lost} of them not shown: the reader was too slow`]),
            ...(missed === 0 ? [] : [`${missed} more dropped by the kernel: this program was too slow`]),
          ].join(", ");
          if (given.write === "-") context.terminal.note(what);
          else if (context.terminal.jsonMode || given.write !== undefined)
            say(what, { frames: seen, lost, missed, last: true });
          else context.terminal.note(what);
        },
      );
    });
}
