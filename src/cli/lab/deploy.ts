// SPDX-License-Identifier: MIT
import type { Command } from "commander";
import type { DeployProgress, InGuest, LabSpec } from "../../lab/index.js";
import { leaf, usage } from "../command.js";
import type { Context } from "../context.js";
import { parseCount } from "../quantities.js";
import { unlessEnded } from "../interrupted.js";
import type { Terminal } from "../terminal.js";
import { size } from "../vm/run-options.js";
import { openRoom, selectLab, waiting } from "./select.js";

interface Ready {
  name: string;
  addresses: readonly string[];
  state: "created" | "kept" | "mended";
}

const STATES = { created: "ready", kept: "ready (kept)", mended: "ready (kept, mended)" } as const;

interface DeployFlags {
  name?: string;
  inVm?: boolean;
  kernel?: string;
  mem?: number;
  cpus?: number;
}

export function registerDeploy(lab: Command, context: Context): void {
  const { terminal } = context;
  leaf(lab, "deploy <file>", "bring a lab up, or to what its file says now", [
    ["xdpctl lab deploy labs/xdp.lab.yml", "machines, bridges, links, addresses, routes"],
    ["xdpctl lab deploy labs/xdp.lab.yml", "a second time: repairs what is missing, changes what the file changed"],
    ["xdpctl lab deploy labs/xdp.lab.yml --name two", "the same lab once more, beside the first"],
    ["xdpctl lab deploy labs/xdp.lab.yml --in-vm --kernel 6.12", "all of it in one guest; needs no root"],
  ])
    .option("-n, --name <name>", "deploy under another name than the file's")
    .option("--in-vm", "boot a guest, and deploy the lab in it")
    .option("-k, --kernel <spec>", "with --in-vm: as `vm run --kernel` takes it; 7.2 by default")
    .option("--mem <size>", "with --in-vm: memory of the guest, 1G by default", size)
    .option("--cpus <n>", "with --in-vm: 2 by default", (text) => parseCount("number of CPUs", text, 1, 255))
    .action(async (file: string, options: DeployFlags) => {
      refuseWithoutVm(options);
      const room = await openRoom();
      const spec = room.readLab(file);
      const nodes: Ready[] = [];
      const removed: string[] = [];
      const start = performance.now();
      const onProgress = ({ step, node, addresses, kept, note }: DeployProgress): void => {
        if (note !== undefined) terminal.note(`left out: ${note}`);
        if (node === undefined) return;
        const before = nodes.find((one) => one.name === node);
        if (step === "mended" && before !== undefined) before.state = "mended";
        if (step === "removed") removed.push(node);
        if (step === "ready") nodes.push({ name: node, addresses: addresses ?? [], state: kept ? "kept" : "created" });
      };
      const named = { ...(options.name === undefined ? {} : { name: options.name }), onProgress };
      const done = await unlessEnded(context, async () => {
        const inGuest =
          options.inVm === true ? await deployInGuest(spec, { ...options, ...named }, context) : undefined;
        return { inGuest, made: inGuest?.lab ?? (await room.bringUp(spec, { ...waiting(context), ...named })) };
      });
      if (done === undefined) return;
      const { inGuest, made } = done;
      const ms = Math.round(performance.now() - start);
      terminal.table(
        [{ title: "MACHINE" }, { title: "ADDRESSES" }, { title: "STATE" }],
        nodes.map((node) => [node.name, node.addresses.join(" ") || null, STATES[node.state]]),
      );
      for (const node of removed) terminal.line(`${node}  removed`);
      const count = `${nodes.length} ${nodes.length === 1 ? "machine" : "machines"}`;
      if (inGuest === undefined) terminal.line(`lab ${made.name}: ${count}, ${ms} ms`);
      else {
        const { kernel, accelerator, kept } = inGuest;
        terminal.line(`guest  Linux ${kernel}  ${accelerator}${kept ? "  (kept)" : ""}`);
        terminal.line(`lab ${made.name}: ${count} in a guest, ${ms} ms`);
      }
      terminal.json({
        lab: made.name,
        nodes,
        removed,
        ms,
        ...(inGuest === undefined ? {} : { guest: shown(inGuest) }),
      });
    });
}

const shown = ({ kernel, accelerator, kept }: InGuest) => ({ kernel, accelerator, kept });

function refuseWithoutVm({ inVm, kernel, mem, cpus }: DeployFlags): void {
  if (inVm === true) return;
  const given = { "--kernel": kernel, "--mem": mem, "--cpus": cpus };
  const [option] = Object.entries(given).find(([, value]) => value !== undefined) ?? [];
  if (option !== undefined) throw usage(`${option} is of a guest: \`--in-vm\` deploys the lab in one`);
}

interface Named {
  name?: string;
  onProgress: (progress: DeployProgress) => void;
}

async function deployInGuest(spec: LabSpec, options: DeployFlags & Named, context: Context): Promise<InGuest> {
  const { deployInGuest: deploy } = await import("../../lab/index.js");
  const { kernel, mem, cpus, name, onProgress } = options;
  return await deploy(spec, {
    ...(name === undefined ? {} : { name }),
    ...(kernel === undefined ? {} : { kernel }),
    ...(mem === undefined ? {} : { memory: mem }),
    ...(cpus === undefined ? {} : { cpus }),
    signal: context.signal,
    log: (text) => context.terminal.note(text),
    onProgress,
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
