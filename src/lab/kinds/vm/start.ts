// SPDX-License-Identifier: MIT
import { createHash } from "node:crypto";
import { existsSync, realpathSync, statSync } from "node:fs";
import { dirname, isAbsolute, resolve } from "node:path";
import { XdpctlError } from "../../../errors/index.js";
import { inNamespaces } from "../../../linux/index.js";
import { launcherFiles } from "../../files.js";
import { hostsPath, labDir, nodeDir } from "../../paths.js";
import type { LabSpec, NodeSpec, VmSpec } from "../../spec.js";
import { isAlive, labNames, type LabState, processMark } from "../../state.js";
import { type GuestFiles, type GuestPlan, guestFiles, readRecord } from "./files.js";
import { isGuestReady, MOST_BOOTS, startSupervisor } from "./launch.js";
import { nicsOf } from "./plumb.js";
import { stopGuests } from "./stop.js";

export function vmOf(node: NodeSpec): VmSpec {
  if (node.vm !== undefined) return node.vm;
  throw new XdpctlError("XDPCTL_E_INTERNAL", `${node.name} is no virtual machine`);
}

/** With paths that mean the same everywhere. */
export function locatedVm(spec: LabSpec, node: NodeSpec): VmSpec {
  const vm = vmOf(node);
  const located = (path: string): string => (isAbsolute(path) ? path : resolve(dirname(spec.file), path));
  return {
    ...vm,
    kernel: vm.kernel.includes("/") ? located(vm.kernel) : vm.kernel,
    ...(vm.root === undefined ? {} : { root: rootFolder(located(vm.root), node.name) }),
    modules: vm.modules.map((name) => (isModuleFile(name) ? located(name) : name)),
  };
}

/** The image itself, also where the path is a link to it: with another it is another guest. */
function rootFolder(path: string, node: string): string {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) return realpathSync(path);
  throw new XdpctlError("XDPCTL_E_NO_FILE", `${node}: there is no folder ${path} for its root`, {
    remedy: "`scripts/build-rootfs` makes one",
  });
}

export const isModuleFile = (name: string): boolean => name.includes("/") || name.endsWith(".ko");

/** Starts the guests that are missing, or that differ from the spec: each with a supervisor, which outlives this process. */
export function startGuests(state: LabState, spec: LabSpec, nodes: readonly NodeSpec[]): string[] {
  const plans = new Map(nodes.map((node) => [node.name, planOf(state, spec, node)]));
  const wanted = nodes.filter((node) => {
    const mark = state.machines[node.name]?.vm;
    return mark?.key !== keyOf(plans.get(node.name) as GuestPlan) || !runs(state, node.name);
  });
  if (wanted.length === 0) return [];
  stopGuests(
    state,
    wanted.map((node) => node.name),
  );
  const unmounted = labNames().map(labDir);
  for (const { name } of wanted) {
    const plan = plans.get(name) as GuestPlan;
    const mark = state.machines[name];
    if (mark === undefined) throw new XdpctlError("XDPCTL_E_INTERNAL", `${name} has no namespaces`);
    // The kernel numbers its taps, of which each boot makes some: no number that the lab will give.
    state.nextIndex += MOST_BOOTS * plan.nics.length;
    const pid = supervise(state, guestFiles(state.name, name), { ...plan, unmounted });
    const supervisor = processMark(pid) ?? { pid, start: "" };
    state.machines[name] = { ...mark, vm: { key: keyOf(plan), supervisor } };
  }
  return wanted.map((node) => node.name);
}

function runs(state: LabState, node: string): boolean {
  const { phase, hang, missing = [] } = readRecord(guestFiles(state.name, node).record) ?? {};
  // A module that has been built since then is in the next guest.
  const built = missing.some((file) => existsSync(file));
  const works = phase !== "failed" && phase !== "ended" && hang === undefined && !built;
  return isAlive(state.machines[node]?.vm?.supervisor) && works;
}

function planOf(state: LabState, spec: LabSpec, node: NodeSpec): GuestPlan {
  return {
    lab: state.name,
    node,
    vm: locatedVm(spec, node),
    nics: nicsOf(state, node),
    files: launcherFiles(state.name),
    hosts: hostsPath(state.name),
    unmounted: [],
  };
}

/** What makes a guest this guest: with another text it is made anew. */
function keyOf(plan: GuestPlan): string {
  return createHash("sha256").update(JSON.stringify(plan)).digest("hex").slice(0, 32);
}

/** Starts a supervisor in the machine's network namespace, where the taps are. Returns its process id. */
function supervise(state: LabState, files: GuestFiles, plan: GuestPlan): number {
  const net = `${nodeDir(state.name, plan.node.name)}/net`;
  return startSupervisor(files, plan, "supervise", (start) => inNamespaces({ net }, start));
}

/** True once a guest is ready. Throws what its supervisor says when it failed. */
export function lookAtGuest(state: LabState, node: NodeSpec): boolean {
  return isGuestReady(node.name, guestFiles(state.name, node.name), state.machines[node.name]?.vm?.supervisor);
}
