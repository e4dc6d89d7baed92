// SPDX-License-Identifier: MIT
import type { Command } from "commander";
import { interfaceName, leaf, usage } from "../command.js";
import type { Context } from "../context.js";
import { layout } from "../table.js";

export function register(program: Command, context: Context): void {
  leaf(program, "unload [interface...]", "take our programs off interfaces", [
    ["xdpctl unload eth1", "detach from eth1, remove its pins"],
    ["xdpctl unload --all", "detach everything of ours in this namespace"],
    ["xdpctl unload eth1 --force", "detach, even what is not ours"],
  ])
    .option("-a, --all", "every interface that has a program of ours")
    .option("-f, --force", "also a program that is not ours")
    .action(async (interfaces: string[], options: { all?: boolean; force?: boolean }) => {
      const all = options.all === true;
      if (all === interfaces.length > 0) throw usage("name the interfaces, or write --all");
      interfaces.forEach(interfaceName);
      const backend = await context.backend();
      const { detached } = await backend.request("unload", { interfaces, all, force: options.force === true });
      const columns = ["", "", "", ""].map((title) => ({ title }));
      const rows = detached.map((d) => [d.interface, d.program, `id ${d.id}`, "detached"]);
      for (const line of layout(columns, rows, false)) context.terminal.line(line);
      if (detached.length === 0) context.terminal.line("nothing of ours was attached");
      context.terminal.json({ detached });
    });
}
