// SPDX-License-Identifier: MIT
import type { Command } from "commander";
import type { Frame } from "../../xsk/index.js";
import { parser } from "../command.js";
import type { Context } from "../context.js";
import { parsePort } from "../targets.js";
import { type Direction, type PairArguments, pairCommand, servePair } from "./pair.js";

interface FilterArguments extends PairArguments {
  match: string;
  port: number;
}

export function registerFilter(xsk: Command, context: Context): void {
  pairCommand(xsk, "filter", "forward between two interfaces, but reset TCP connections that say a word", [
    ["xdpctl xsk filter veth0 veth2 --match pineapple", "on port 80: both ends get a RST, the segment goes nowhere"],
    ["xdpctl xsk filter veth0 veth2 --match pineapple --port 8080 --stats", "on another port, and what passed"],
  ])
    .requiredOption("--match <word>", "the word; it is looked for in each segment by itself")
    .option("-p, --port <n>", "source or destination port of the connections", parser(parsePort), 80)
    .action(async (a: string, b: string, given: FilterArguments) => {
      const { TcpWordFilter, resetReceiver, resetSender } = await import("../../packet/index.js");
      const filter = new TcpWordFilter({ port: given.port, word: given.match });
      const side = ({ from, to }: Direction) => {
        const counts = { matched: 0, resets: 0, unreset: 0 };
        let segment: Frame;
        let possible = true;
        const back = (out: Frame): void => {
          possible = resetSender(segment, out);
          if (possible) out.send();
        };
        const handler = (frame: Frame): void => {
          if (!filter.matches(frame)) {
            frame.forward(to);
            return;
          }
          counts.matched++;
          segment = frame;
          possible = true;
          if (from.produce(1, back) === 1) counts.resets++;
          else if (possible) counts.unreset++;
          // What can't be reset, as its checksum is wrong, is dropped all the same.
          if (!resetReceiver(frame, frame)) return;
          counts.resets++;
          frame.forward(to);
        };
        return { handler, counts };
      };
      await servePair(context, [a, b], given, side);
    });
}
