// SPDX-License-Identifier: MIT
import type { Command } from "commander";
import type { Frame } from "../../xsk/index.js";
import type { Context } from "../context.js";
import { type Direction, type PairArguments, pairCommand, servePair } from "./pair.js";

interface WordArguments extends PairArguments {
  from: string;
  to: string;
}

export function registerChangeWord(xsk: Command, context: Context): void {
  pairCommand(xsk, "change-word", "forward between two interfaces, and replace a word in UDP datagrams", [
    ["xdpctl xsk change-word veth0 veth2 --from apple --to watermelon", "lengths and checksums follow"],
    ["xdpctl xsk change-word veth0 veth2 --from secret --to ''", "take the word out"],
  ])
    .requiredOption("--from <word>", "what is replaced")
    .requiredOption("--to <word>", "what stands in its place")
    .action(async (a: string, b: string, given: WordArguments) => {
      const { NO_ROOM, WordChange } = await import("../../packet/index.js");
      const change = new WordChange(given);
      const { interfaceFacts } = await import("./interface.js");
      const side = ({ to }: Direction) => {
        const { mtu } = interfaceFacts(to.ifindex);
        const counts = { words: 0, noRoom: 0 };
        const handler = (frame: Frame): void => {
          const words = change.apply(frame, mtu);
          if (words === NO_ROOM) counts.noRoom++;
          else counts.words += words;
          frame.forward(to);
        };
        return { handler, counts };
      };
      await servePair(context, [a, b], given, side);
    });
}
