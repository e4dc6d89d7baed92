// SPDX-License-Identifier: MIT
import type { Command } from "commander";
import { exampleText, usage } from "../command.js";
import { end } from "./in-guest.js";
import { openRoom, selectLab } from "./select.js";

export function registerExec(lab: Command): void {
  lab
    .command("exec <node> [command...]")
    .description("run a command in a machine: its arguments, streams, signals and exit status are the command's own")
    .option("-l, --lab <name>", "the lab's name")
    .passThroughOptions()
    .addHelpText(
      "after",
      exampleText([
        ["xdpctl lab exec client -- ping -c 3 server", "machines know each other by name"],
        ["xdpctl lab exec xdp -- xdpctl load drop eth1", "xdpctl is there too"],
        ["tar c files | xdpctl lab exec server -- tar x -C /tmp", "streams pass through"],
        ["xdpctl lab exec --lab two client ip addr", "of the lab `two`"],
      ]),
    )
    .action(async (node: string, words: string[], options: { lab?: string }) => {
      const argv = words[0] === "--" ? words.slice(1) : words;
      const [file, ...args] = argv;
      if (file === undefined)
        throw usage("`lab exec` needs a command", "a prompt in a machine is `xdpctl lab shell NODE`");
      const room = await openRoom();
      const { openLab } = await import("../../lab/index.js");
      end(await openLab(selectLab(room, options.lab)).replace(node, [file, ...args]));
    });
}

export function registerShell(lab: Command): void {
  lab
    .command("shell <node>")
    .description("a shell in a machine")
    .option("-l, --lab <name>", "the lab's name")
    .addHelpText("after", exampleText([["xdpctl lab shell client", "bash where it is installed, else sh"]]))
    .action(async (node: string, options: { lab?: string }) => {
      const room = await openRoom();
      const opened = room.openLab(selectLab(room, options.lab));
      end(await opened.replace(node, opened.shellCommand(node)));
    });
}
