// SPDX-License-Identifier: MIT
import type { Command } from "commander";
import type { Frame } from "../../xsk/index.js";
import { type Context, ENOUGH } from "../context.js";
import type { Side } from "./run.js";
import { type Direction, type PairArguments, pairCommand, servePair } from "./pair.js";

export function registerForward(xsk: Command, context: Context): void {
  pairCommand(xsk, "forward", "give what comes in by one interface to the other, both ways", [
    ["xdpctl xsk forward veth0 veth2 --stats", "a wire between two interfaces, and what passed"],
    ["xdpctl xsk forward veth0 veth2 --dump --count 4", "show four frames in hexadecimal"],
  ])
    .option("-d, --dump", "print each frame in hexadecimal")
    .action(async (a: string, b: string, given: PairArguments & { dump?: boolean }) => {
      const json = context.terminal.jsonMode;
      await servePair(context, [a, b], given, (direction) =>
        given.dump === true ? dumping(direction, json) : { handler: (frame) => frame.forward(direction.to) },
      );
    });
}

/** A slow reader gets fewer frames, so that there is always room for where they went. */
function dumping({ from, to, live }: Direction, json: boolean): Side {
  const counts = { unshown: 0 };
  const handler = (frame: Frame): void => {
    if (live.queued > ENOUGH) {
      counts.unshown++;
      frame.forward(to);
      return;
    }
    const facts = { interface: from.interface, to: to.interface, length: frame.length };
    if (json) {
      const frameHex = Buffer.from(frame.bytes.buffer, frame.bytes.byteOffset + frame.start, frame.length);
      live.write(`${JSON.stringify({ ...facts, frame: frameHex.toString("hex") })}\n`);
    } else live.write(`${facts.interface} → ${facts.to}  ${facts.length} bytes\n${frame.dump()}`);
    frame.forward(to);
  };
  return { handler, counts };
}
