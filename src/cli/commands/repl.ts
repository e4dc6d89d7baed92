// SPDX-License-Identifier: MIT
import type { Command } from "commander";
import { leaf, usage } from "../command.js";
import type { Context } from "../context.js";

export function register(program: Command, context: Context): void {
  leaf(program, "repl", "a prompt that takes every command, and Lua; be the controller meanwhile", [
    ["xdpctl repl", "a prompt on a terminal"],
    ["xdpctl repl < commands.txt", "a script: ends at the first line that fails"],
    ["echo 'load drop eth1' | xdpctl repl", "what it attaches goes when it ends"],
    ["xdpctl repl --via ECHO", "Lua goes to a kernel module, comes back, and runs"],
  ])
    .option("--via <family>", "send what is no command through this family of generic netlink; its answer runs as Lua")
    .option("--no-tick", "with --via: no dot each second")
    .action(async (options: { via?: string; tick: boolean }) => {
      if (context.kind !== "shell") throw usage("this is the REPL");
      const { startRepl } = await import("../repl/index.js");
      // The script's first error was printed where it happened; its exit code is ours.
      const { via, tick } = options;
      const json = context.terminal.jsonMode;
      process.exitCode = await startRepl({
        json,
        tick: via !== undefined && tick,
        ...(via === undefined ? {} : { via }),
      });
    });
}
