// SPDX-License-Identifier: MIT
import type { Command } from "commander";
import { exampleText } from "../command.js";
import type { Context } from "../context.js";

export async function register(program: Command, context: Context, verb?: string): Promise<void> {
  const { registerLab } = await import("../lab/index.js");
  await registerLab(program, context, verb);
  const lab = program.commands.find((command) => command.name() === "lab");
  lab?.addHelpText(
    "after",
    exampleText([
      ["xdpctl lab deploy labs/xdp.lab.yml", "bring its machines up"],
      ["xdpctl lab exec client -- ping -c 1 server", "a command in one of them"],
      ["xdpctl lab destroy labs/xdp.lab.yml", "and take all of it away"],
    ]),
  );
}
