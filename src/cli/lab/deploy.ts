// SPDX-License-Identifier: MIT
import type { Command } from "commander";
import { leaf } from "../command.js";
import type { Context } from "../context.js";
import type { Terminal } from "../terminal.js";
import { openRoom, selectLab, waiting } from "./select.js";

interface Ready {
  name: string;
  addresses: readonly string[];
  state: "created" | "kept";
}

export function registerDeploy(lab: Command, context: Context): void {
  const { terminal } = context;
  leaf(lab, "deploy <file>", "bring a lab up, or to what its file says now", [
    ["xdpctl lab deploy labs/xdp.lab.yml", "machines, bridges, links, addresses, routes"],
    ["xdpctl lab deploy labs/xdp.lab.yml", "a second time: repairs what is missing, changes what the file changed"],
    ["xdpctl lab deploy labs/xdp.lab.yml --name two", "the same lab once more, beside the first"],
  ])
    .option("-n, --name <name>", "deploy under another name than the file's")
    .action(async (file: string, options: { name?: string }) => {
      const room = await openRoom();
      const spec = room.readLab(file);
      const nodes: Ready[] = [];
      const removed: string[] = [];
      const start = performance.now();
      const made = await room.bringUp(spec, {
        ...waiting(context),
        ...(options.name === undefined ? {} : { name: options.name }),
        onProgress: ({ step, node, addresses, kept, note }) => {
          if (note !== undefined) terminal.note(`left out: ${note}`);
          if (node === undefined) return;
          if (step === "removed") removed.push(node);
          if (step === "ready")
            nodes.push({ name: node, addresses: addresses ?? [], state: kept ? "kept" : "created" });
        },
      });
      const ms = Math.round(performance.now() - start);
      terminal.table(
        [{ title: "MACHINE" }, { title: "ADDRESSES" }, { title: "STATE" }],
        nodes.map((node) => [
          node.name,
          node.addresses.join(" ") || null,
          node.state === "kept" ? "ready (kept)" : "ready",
        ]),
      );
      for (const node of removed) terminal.line(`${node}  removed`);
      terminal.line(`lab ${made.name}: ${nodes.length} ${nodes.length === 1 ? "machine" : "machines"}, ${ms} ms`);
      terminal.json({ lab: made.name, nodes, removed, ms });
    });
}

export function registerDestroy(lab: Command, terminal: Terminal): void {
  leaf(lab, "destroy [name]", "take a lab down: what runs in its machines is ended, nothing is left", [
    ["xdpctl lab destroy", "the only lab"],
    ["xdpctl lab destroy two", "by name"],
    ["xdpctl lab destroy labs/xdp.lab.yml", "by its file"],
    ["xdpctl lab destroy --all", "every lab"],
  ])
    .alias("down")
    .option("-l, --lab <name>", "the lab's name")
    .option("-a, --all", "every lab")
    .action(async (given: string | undefined, options: { lab?: string; all?: boolean }) => {
      const room = await openRoom();
      const name = given?.match(/[/.]/) ? room.readLab(given).name : given;
      const names = options.all === true ? room.list().map((one) => one.name) : [selectLab(room, name ?? options.lab)];
      for (const one of names) {
        room.destroy(one);
        terminal.line(`lab ${one}: down`);
      }
      terminal.json({ destroyed: names });
    });
}

export function registerGc(lab: Command, terminal: Terminal): void {
  leaf(lab, "gc", "remove what crashed commands left of labs, and nothing else", [
    ["xdpctl lab gc", "labs that run stay; what others made stays"],
  ]).action(async () => {
    const room = await openRoom();
    const removed = room.gc();
    for (const { lab: name, reason } of removed) terminal.line(`lab ${name}: removed (${reason})`);
    const { removeDeadGuests } = await import("../../vm/index.js");
    const guests = removeDeadGuests();
    if (guests > 0) terminal.line(`${guests} of \`vm run\`: removed (their processes are gone)`);
    if (removed.length + guests === 0) terminal.line("nothing to remove");
    terminal.json({ removed, guests });
  });
}

export function registerValidate(lab: Command, terminal: Terminal): void {
  leaf(lab, "validate <file>", "check a lab file, and show the addresses that it gets; needs no root", [
    ["xdpctl lab validate labs/xdp.lab.yml", "errors come with line and column"],
    ["xdpctl lab validate labs/xdp.lab.yml --json", "the whole lab with all that was chosen"],
  ]).action(async (file: string) => {
    const { readLab } = await import("../../lab/index.js");
    const spec = readLab(file);
    terminal.table(
      [{ title: "MACHINE" }, { title: "INTERFACE" }, { title: "ADDRESSES" }, { title: "ROUTES" }],
      spec.nodes.flatMap((node) =>
        (node.interfaces.length === 0 ? [undefined] : node.interfaces).map((one, i) => [
          i === 0 ? node.name : "",
          one?.name ?? null,
          one?.addresses.join(" ") || null,
          i === 0
            ? node.routes.map((r) => `${r.to} ${r.via === undefined ? "" : `via ${r.via}`}`.trim()).join(", ") || null
            : "",
        ]),
      ),
    );
    terminal.json(spec);
  });
}
