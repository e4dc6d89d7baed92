// SPDX-License-Identifier: MIT
import type { Command } from "commander";
import { leaf } from "../command.js";
import type { Terminal } from "../terminal.js";
import { openRoom, selectLab } from "./select.js";

export function registerInspect(lab: Command, terminal: Terminal): void {
  leaf(lab, "inspect [name]", "what the kernel shows of a lab now", [
    ["xdpctl lab inspect", "machines, interfaces, addresses, programs"],
    ["xdpctl lab inspect --json", "with routes and the processes in each machine"],
  ])
    .option("-l, --lab <name>", "the lab's name")
    .action(async (name: string | undefined, options: { lab?: string }) => {
      const room = await openRoom();
      const found = room.Lab.open(selectLab(room, name ?? options.lab)).inspect();
      terminal.table(
        ["MACHINE", "INTERFACE", "LINK", "PEER", "ADDRESSES", "XDP"].map((title) => ({ title })),
        found.nodes.flatMap((node) =>
          (node.interfaces.length === 0 ? [undefined] : node.interfaces).map((one, i) => [
            i > 0 ? "" : node.state === "ready" ? node.name : `${node.name} (${node.state})`,
            one?.name ?? null,
            one === undefined ? null : one.carrier ? "up" : one.up ? "no carrier" : "down",
            one?.peer ?? null,
            one?.addresses.join(" ") || null,
            one?.xdp == null ? null : `id ${one.xdp.id} (${one.xdp.mode})`,
          ]),
        ),
      );
      for (const { name, vm } of found.nodes) {
        if (vm === undefined) continue;
        terminal.line(`${name}  Linux ${vm.kernel}  ${vm.accelerator}`);
        if (vm.hang !== undefined) terminal.line(`${name}  ${vm.hang}`);
        if (vm.error !== undefined) terminal.line(`${name}  ${vm.phase}: ${vm.error}`);
        for (const line of vm.lines ?? []) terminal.line(`  ${line}`);
      }
      for (const { name, container } of found.nodes) {
        if (container === undefined) continue;
        const { image, id, engine, options } = container;
        terminal.line(`${name}  ${image}  ${id.slice(0, 12)}  ${[engine, options].join(" ").trim()}`);
      }
      terminal.json(found);
    });
}

export function registerList(lab: Command, terminal: Terminal): void {
  leaf(lab, "ls", "the labs that there are", [["xdpctl lab ls", "names, states, machines, files"]])
    .alias("list")
    .action(async () => {
      const room = await openRoom();
      const labs = room.list();
      terminal.table(
        ["LAB", "STATE", "MACHINES", "FILE"].map((title) => ({ title })),
        labs.map((one) => [one.name, one.state, one.nodes.join(" ") || null, one.file || null]),
      );
      terminal.json({ labs });
    });
}
