// SPDX-License-Identifier: MIT
import type { Command } from "commander";
import type { Frame, FrameHandler, XskSocket } from "../../xsk/index.js";
import { interfaceName, leaf, parser } from "../command.js";
import type { Context, Live } from "../context.js";
import { type ServeArguments, serveOptions } from "./options.js";
import type { Counts } from "./report.js";
import type { Side } from "./run.js";

type Example = readonly [line: string, what: string];

/** What frames that came in by one interface may be given to. */
export interface Direction {
  readonly from: XskSocket;
  readonly to: XskSocket;
  readonly live: Live;
}

/** A command between two interfaces: what comes in by one goes out by the other, less what the command keeps back. */
export function pairCommand(xsk: Command, name: string, description: string, examples: readonly Example[]): Command {
  const command = leaf(xsk, name, `${description}; ends with Ctrl-C`, examples)
    .argument("<a>", "an interface", parser(interfaceName))
    .argument("<b>", "the other", parser(interfaceName))
    .option("--no-checksums", "leave checksums alone that the other end of a veth left to its device");
  return serveOptions(command, 8192);
}

export interface PairArguments extends ServeArguments {
  checksums: boolean;
}

/** Serves both directions; `side` makes the handler of each. */
export async function servePair(
  context: Context,
  names: readonly [string, string],
  given: PairArguments,
  side: (direction: Direction) => { handler: FrameHandler; counts?: Counts },
): Promise<void> {
  const { serveInterfaces } = await import("./run.js");
  const { interfaceFacts } = await import("./interface.js");
  const { completeChecksum } = await import("../../packet/index.js");
  await serveInterfaces(context, names, given, (nics, live) => {
    const [a, b] = nics as [XskSocket, XskSocket];
    const one = (from: XskSocket, to: XskSocket): Side => {
      const { handler, counts } = side({ from, to, live });
      const complete = given.checksums && interfaceFacts(from.ifindex).veth;
      const completed = (frame: Frame): void => {
        completeChecksum(frame.bytes, frame.start, frame.end);
        handler(frame);
      };
      return { handler: complete ? completed : handler, ...(counts === undefined ? {} : { counts }) };
    };
    return { sides: [one(a, b), one(b, a)] };
  });
}
