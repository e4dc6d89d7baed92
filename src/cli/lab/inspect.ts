// SPDX-License-Identifier: MIT
import type { Command } from "commander";
import { leaf } from "../command.js";
import type { InspectedGuest, LabInspection } from "../../lab/index.js";
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
      const found = await withSplats(await room.openLab(selectLab(room, name ?? options.lab)).inspect());
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
      for (const { name, vm } of [{ name: "guest", vm: found.guest }, ...found.nodes]) {
        if (vm === undefined) continue;
        terminal.line(`${name}  Linux ${vm.kernel}  ${vm.accelerator}`);
        if (vm.hang !== undefined) terminal.line(`${name}  ${vm.hang}`);
        if (vm.error !== undefined) terminal.line(`${name}  ${vm.phase}: ${vm.error}`);
        for (const line of vm.lines ?? []) terminal.line(`  ${line}`);
        for (const splat of vm.splats ?? []) terminal.line(`${name}  kernel splat: ${splat}`);
      }
      for (const { name, container } of found.nodes) {
        if (container === undefined) continue;
        const { image, id, engine, options } = container;
        terminal.line(`${name}  ${image}  ${id.slice(0, 12)}  ${[engine, options].join(" ").trim()}`);
      }
      terminal.json(found);
    });
}

/** With what the kernels of guests have said that they should never say. */
async function withSplats(found: LabInspection): Promise<LabInspection> {
  const { guestSplats } = await import("../../lab/index.js");
  const look = async (vm: InspectedGuest): Promise<InspectedGuest> => ({
    ...vm,
    splats: await guestSplats(vm.console),
  });
  const nodes = await Promise.all(
    found.nodes.map(async (node) => (node.vm === undefined ? node : { ...node, vm: await look(node.vm) })),
  );
  return { ...found, nodes, ...(found.guest === undefined ? {} : { guest: await look(found.guest) }) };
}

export function registerList(lab: Command, terminal: Terminal): void {
  leaf(lab, "ls", "the labs that there are", [["xdpctl lab ls", "names, states, machines, files"]])
    .alias("list")
    .action(async () => {
      const room = await openRoom();
      const labs = room.list();
      // Where no lab is in a guest, nobody asks for kernels.
      const kernels = labs.some((one) => one.kernel !== null);
      terminal.table(
        ["LAB", "STATE", ...(kernels ? ["GUEST"] : []), "MACHINES", "FILE"].map((title) => ({ title })),
        labs.map((one) => {
          const guest = kernels ? [one.kernel === null ? null : `Linux ${one.kernel}`] : [];
          return [one.name, one.state, ...guest, one.nodes.join(" ") || null, one.file || null];
        }),
      );
      for (const { name, fault } of labs) if (fault !== undefined) terminal.line(`${name}  ${fault}`);
      terminal.json({ labs });
    });
}
