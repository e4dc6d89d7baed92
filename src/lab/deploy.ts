// SPDX-License-Identifier: MIT
import { randomBytes } from "node:crypto";
import { mkdirSync } from "node:fs";
import { type ErrorCode, XdpctlError } from "../errors/index.js";
import { errno, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_PRIVATE, mount, needCapabilities } from "../linux/index.js";
import { checkDhcp, hasClients, startDhcpServers } from "./dhcp.js";
import { shown } from "./shown.js";
import { writeHosts, writeLauncher } from "./files.js";
import { readGuestLab } from "./in-guest/state.js";
import { impairLinks } from "./impair.js";
import { byKind, kindOf } from "./kinds/index.js";
import { Lab } from "./lab.js";
import { withLabLock } from "./lock.js";
import { createMachines, type Machine, type MachinePlan, openMachine } from "./machine.js";
import { configureMptcp } from "./multipath.js";
import { interfaceIndices, wireBridges, wireLinks } from "./network.js";
import { labDir, SWITCH } from "./paths.js";
import { endProcesses, machineProcesses } from "./processes.js";
import { removeLab } from "./remove.js";
import { checkNames, forgetMachine, nameMachine } from "./names.js";
import { LAB_SCHEMA } from "./schema.js";
import type { LabSpec } from "./spec.js";
import { bootId, isAlive, type LabState, machineLives, processMark, readState, writeState } from "./state.js";

export interface DeployProgress {
  /** `mended`: a machine that was kept lacked something of the file. `ready` and `removed` come once a machine, the others tell how far it is. */
  readonly step: "intent" | "machine" | "links" | "pinned" | "ready" | "mended" | "removed" | "left-out";
  readonly node?: string;
  readonly addresses?: readonly string[];
  /** The machine was there before. */
  readonly kept?: boolean;
  /** What was left out, and why. */
  readonly note?: string;
}

export interface DeployOptions {
  /** Deploys under another name than the file's, so that one file can run twice. */
  name?: string;
  /** The lab goes with this process: `gc` removes it when the process is gone. */
  tied?: boolean;
  onProgress?: (progress: DeployProgress) => void;
}

export interface Made {
  readonly lab: Lab;
  /** There was none before. */
  readonly isNew: boolean;
  /** The machines that were there before, and stayed. */
  readonly kept: ReadonlySet<string>;
}

/**
 * Makes a lab, or takes an existing one to what the spec says; what lives in its machines may still be on its way. What
 * fails is taken back.
 */
export function makeLab(spec: LabSpec, options: DeployOptions): Made {
  const name = options.name ?? spec.name;
  checkLabName(name);
  needCapabilities("making a lab", "CAP_SYS_ADMIN", "CAP_NET_ADMIN");
  const wanted = { ...spec, name };
  return withLabLock(() => {
    if (readGuestLab(name) !== undefined) {
      throw new XdpctlError("XDPCTL_E_LAB_CONFLICT", `there is a lab ${name} in a guest`, {
        remedy: `\`xdpctl lab deploy --in-vm\` changes it, \`xdpctl lab destroy ${name}\` takes it down`,
      });
    }
    const prior = priorState(name, options);
    if (prior === undefined) return { lab: new Lab(deployNew(wanted, options)), isNew: true, kept: new Set() };
    const before = prior.spec;
    let kept: Set<string>;
    try {
      if (options.tied === true) tie(prior);
      kept = converge(prior, wanted, options);
    } catch (error) {
      undo(prior, before);
      throw failure(name, error, "it is as it was before");
    }
    return { lab: new Lab(prior), isNew: false, kept };
  });
}

export function checkLabName(name: string): void {
  const { pattern, patternErrorMessage } = LAB_SCHEMA.properties.name;
  if (new RegExp(pattern).test(name)) return;
  throw new XdpctlError("XDPCTL_E_BAD_NAME", `${shown(name)} can't be a lab's name`, { remedy: patternErrorMessage });
}

/** Errors that say all there is to say: what is to be done is the same whatever the lab was about. */
const OWN_WORDS: readonly ErrorCode[] = [
  ...(["XDPCTL_E_PERMISSION", "XDPCTL_E_LAB_CONFLICT", "XDPCTL_E_TIMEOUT", "XDPCTL_E_NOT_SUPPORTED"] as const),
  ...(["XDPCTL_E_NO_ENGINE", "XDPCTL_E_NO_IMAGE", "XDPCTL_E_ENGINE", "XDPCTL_E_NO_FILE"] as const),
];

function failure(name: string, error: unknown, after: string): XdpctlError {
  const cause = XdpctlError.wrap(error);
  if (OWN_WORDS.includes(cause.code)) return cause;
  const exists = cause.code === "XDPCTL_E_NETLINK" && cause.errno === errno.EEXIST;
  const code = exists ? "XDPCTL_E_INTERFACE_EXISTS" : "XDPCTL_E_LAB_DEPLOY";
  return new XdpctlError(code, `the lab ${name} can't be brought up: ${cause.message}`, {
    remedy: exists ? `choose another name, or delete the old link; the lab: ${after}` : after,
    cause: error,
    ...(cause.errno === undefined ? {} : { errno: cause.errno }),
    ...(cause.kernel === undefined ? {} : { kernel: cause.kernel }),
  });
}

/** The lab of that name that runs; remains of one that does not are removed first. */
function priorState(name: string, options: DeployOptions): LabState | undefined {
  const state = readState(name);
  if (state === undefined) return undefined;
  if (state !== null && state.boot === bootId()) {
    const self = state.tied?.pid === process.pid;
    if (options.tied === true && !self && isAlive(state.tied)) {
      throw new XdpctlError("XDPCTL_E_LAB_CONFLICT", `the lab ${name} is run by process ${state.tied?.pid}`);
    }
    if (state.phase !== "ready" && state.busy?.pid !== process.pid && isAlive(state.busy)) {
      throw new XdpctlError(
        "XDPCTL_E_LAB_CONFLICT",
        `process ${state.busy?.pid} is making or removing the lab ${name}`,
      );
    }
    if (state.phase === "ready" && (state.tied === undefined || isAlive(state.tied))) return state;
  }
  removeLab(name, state ?? undefined);
  return undefined;
}

function tie(state: LabState): void {
  const mark = processMark(process.pid);
  if (mark !== undefined) state.tied = mark;
}

function deployNew(spec: LabSpec, options: DeployOptions): LabState {
  const { name } = spec;
  const state: LabState = {
    version: 1,
    id: randomBytes(8).toString("hex"),
    name,
    created: new Date().toISOString(),
    boot: bootId(),
    phase: "deploying",
    spec: { ...spec, nodes: [], bridges: [], links: [] },
    machines: {},
    bridges: {},
    links: [],
    nextIndex: 2,
  };
  if (options.tied === true) tie(state);
  try {
    mkdirSync(labDir(name), { recursive: true });
    // A file system of its own goes, with all that is in it, in one step. It is private because files of mount namespaces
    // can only be mounted where nothing is propagated to other mount namespaces.
    mount("xdpctl-lab", labDir(name), "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=755");
    mount("none", labDir(name), null, MS_PRIVATE);
    writeState(state);
    writeLauncher(name);
    converge(state, spec, options);
    return state;
  } catch (error) {
    removeLab(name, state);
    throw failure(name, error, "nothing of it is left");
  }
}

/** After a failure: the lab as it was, or at least a mark that it is not. */
function undo(state: LabState, before: LabSpec): void {
  try {
    converge(state, before, {});
    settle(state);
  } catch {
    settle(state, "broken");
  }
  writeState(state);
}

/** Whether its machines take a while, in which somebody else may want something of the lab. */
export const waits = (spec: LabSpec): boolean =>
  hasClients(spec) ||
  spec.nodes.some((node) => kindOf(node).isReady !== undefined || kindOf(node).awaitReady !== undefined);

/** Nobody works on it any more. */
export function settle(state: LabState, phase: "ready" | "broken" = "ready"): void {
  state.phase = phase;
  delete state.busy;
}

/** Takes a lab from what `state` says to what `spec` says, and keeps `state` true at every step. Returns what was kept. */
function converge(state: LabState, spec: LabSpec, options: DeployOptions): Set<string> {
  const { name } = state;
  const progress = options.onProgress ?? (() => {});
  const before = new Map(state.spec.nodes.map((node) => [node.name, node]));
  const kinds = byKind(spec.nodes);
  for (const [kind, nodes] of kinds) kind.check?.(spec, nodes);
  checkDhcp(spec);
  const wanted: MachinePlan[] = spec.nodes.map((node) => ({
    ...node,
    namespaces: kindOf(node).namespaces,
    silent: kindOf(node).silent === true,
  }));
  // A switch speaks no IP of its own.
  if (spec.bridges.length > 0) wanted.unshift({ name: SWITCH, forward: false, namespaces: ["net"], silent: true });
  checkNames(
    state,
    wanted.map((plan) => plan.name),
  );
  state.phase = "deploying";
  state.busy = processMark(process.pid) ?? { pid: process.pid, start: "" };
  noteStarters(state, spec);
  writeState(state);
  progress({ step: "intent" });
  writeHosts(spec);
  const machines = new Map<string, Machine>();
  try {
    const kindNow = new Map(spec.nodes.map((node) => [node.name, node.kind]));
    const lost = Object.keys(state.machines).filter((node) => {
      const turned = kindNow.has(node) && before.has(node) && kindNow.get(node) !== before.get(node)?.kind;
      return turned || !machineLives(state, node);
    });
    end(state, lost);
    for (const node of lost) forgetMachine(state, node);
    for (const node of Object.keys(state.machines)) machines.set(node, openMachine(name, node));
    const missing = wanted.filter((plan) => !machines.has(plan.name));
    createMachines(name, missing, (machine) => {
      machines.set(machine.name, machine);
      progress({ step: "machine", node: machine.name });
    });
    const gone = [...machines.keys()].filter((node) => !wanted.some((plan) => plan.name === node));
    end(state, gone);
    wireBridges(state, spec, machines);
    wireLinks(state, spec, machines);
    for (const note of impairLinks(state, spec, machines)) progress({ step: "left-out", note });
    progress({ step: "links" });
    for (const node of spec.nodes) {
      const machine = machines.get(node.name) as Machine;
      kindOf(node).configure(state, node, before.get(node.name), machine);
      if (kindOf(node).silent !== true)
        configureMptcp(node, before.get(node.name), interfaceIndices(state, node.name), machine);
    }
    for (const node of gone) {
      forgetMachine(state, node);
      // The machine behind the bridges is nobody's.
      if (node !== SWITCH) progress({ step: "removed", node });
    }
    const kept = new Set(Object.keys(state.machines));
    for (const machine of machines.values()) {
      if (machine.fresh) state.machines[machine.name] = machine.pin(name);
      if (!gone.includes(machine.name)) nameMachine(state, machine.name);
    }
    progress({ step: "pinned" });
    // What is started there is found by the namespaces.
    if (state.started !== undefined) writeState(state);
    startDhcpServers(state, spec);
    for (const [kind, nodes] of kinds) for (const node of kind.start?.(state, spec, nodes) ?? []) kept.delete(node);
    state.spec = spec;
    if (!waits(spec)) settle(state);
    writeState(state);
    for (const node of spec.nodes) {
      const addresses = node.interfaces.flatMap((one) => one.addresses);
      progress({ step: "ready", node: node.name, addresses, kept: kept.has(node.name) });
    }
    return kept;
  } finally {
    for (const machine of machines.values()) machine.close();
  }
}

/** Notes which kinds may start something, before they do. */
function noteStarters(state: LabState, spec: LabSpec): void {
  const starters = spec.nodes.filter((node) => kindOf(node).start !== undefined).map((node) => node.kind);
  if (starters.length > 0) state.started = [...new Set([...(state.started ?? []), ...starters])];
}

/** Ends what runs in machines that will not stay. */
function end(state: LabState, nodes: readonly string[]): void {
  if (nodes.length === 0) return;
  for (const kind of state.started ?? []) kindOf({ kind }).stop?.(state, nodes);
  endProcesses(machineProcesses(state).filter((one) => nodes.includes(one.node)));
}
