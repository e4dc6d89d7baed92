// SPDX-License-Identifier: MIT
import type { Command } from "commander";
import { interfaceName, leaf, parser, usage } from "../command.js";
import type { Context } from "../context.js";
import { ruleOf, type SocketArguments, socketOptions, xskOptions } from "./options.js";

/** The first descriptor after the standard ones. */
const FIRST = 3;

export function registerOpen(xsk: Command, context: Context): void {
  const command = leaf(xsk, "open", "set a socket up, and become a program that uses it without privilege", [
    [
      "xdpctl xsk open veth1 -- setpriv --reuid=nobody --clear-groups xdpctl xsk echo veth1 --fd 3",
      "the echo runs as nobody",
    ],
    [
      "xdpctl xsk open eth0 --port 7 --protocol udp -- ./my-program",
      "its descriptors are 3 and 4; XDPCTL_XSK says how",
    ],
  ]);
  const skipped = new Set(["--wait", "--stats", "--count", "--for", "--fd"]);
  socketOptions(command.argument("<interface>", "whose frames", parser(interfaceName)));
  // How long it is served, and how, is the other program's own affair.
  for (const option of command.options) if (skipped.has(option.long ?? "")) option.hideHelp();
  command
    .argument("<command...>", "the program, after `--`")
    .action(async (name: string, [file = "", ...args]: string[], given: SocketArguments) => {
      if (context.kind !== "shell") throw usage("the REPL can't become another program", "use it from a shell");
      if (given.fd !== undefined) throw usage("`xsk open` makes the socket itself", "leave out --fd");
      const linux = await import("../../linux/index.js");
      const { PreparedSocket, Umem } = await import("../../xsk/index.js");
      if (file === "") throw usage("`xsk open` needs a command", "write it after `--`");
      const path = linux.findCommand(file, process.env.PATH ?? "");
      linux.checkProgram(path);
      const umem = Umem.create({ frameCount: given.frames, frameSize: given.frameSize, checked: false });
      const prepared = PreparedSocket.open(umem, name, xskOptions(given, ruleOf(given)));
      linux.keepCapabilitiesFromChildren();
      linux.restoreStandardStreams();
      const environment = { ...process.env, ...prepared.environment(FIRST) };
      linux.withDescriptorsAt(prepared.descriptors, FIRST, () =>
        linux.replaceProcess(path, [file, ...args], environment),
      );
    });
}
