// SPDX-License-Identifier: MIT
import { randomBytes } from "node:crypto";
import { mkdirSync } from "node:fs";
import { XdpctlError } from "../../errors/index.js";
import { makeRuntimeDir, runtimeDir } from "../../linux/index.js";
import type { GuestFiles } from "../kinds/vm/files.js";
import { startSupervisor } from "../kinds/vm/launch.js";
import { withLabLock } from "../lock.js";
import type { LabSpec } from "../spec.js";
import { bootId, isAlive, processMark, readState } from "../state.js";
import { removeGuestLab } from "./remove.js";
import {
  type GuestLabState,
  type GuestMachine,
  guestLabEnd,
  guestLabFiles,
  guestLabPhase,
  guestLabsDir,
  readGuestLab,
  writeGuestLab,
} from "./state.js";
import type { GuestLabPlan } from "./supervise.js";

/** A lab that is ours to make or to change, until `busy` is taken from its state. */
export interface Claim {
  readonly state: GuestLabState;
  /** Its guest was just started. */
  readonly isNew: boolean;
  /** Why a lab that was there is not there any more. */
  readonly instead?: string;
}

/** Takes the lab of that name, whose guest runs and is the one that is asked for; or starts a guest for it. */
export function claim(spec: LabSpec, machine: GuestMachine, plan: GuestLabPlan): Claim {
  const { name } = spec;
  makeRuntimeDir(guestLabsDir());
  return withLabLock(() => {
    const before = readGuestLab(name);
    refuseTaken(name, before);
    if (before === undefined) return { state: begin(spec, machine, plan), isNew: true };
    const instead = whyAnew(before, machine);
    if (instead !== undefined || before === null) {
      removeGuestLab(name, before);
      return { state: begin(spec, machine, plan), isNew: true, ...(instead === undefined ? {} : { instead }) };
    }
    before.busy = self();
    writeGuestLab(before);
    return { state: before, isNew: false };
  }, runtimeDir());
}

const self = () => processMark(process.pid) ?? { pid: process.pid, start: "" };

function refuseTaken(name: string, state: GuestLabState | undefined | null): void {
  if (state?.boot === bootId() && isAlive(state.busy)) {
    throw new XdpctlError("XDPCTL_E_LAB_CONFLICT", `process ${state.busy?.pid} is making or changing the lab ${name}`);
  }
  // An ordinary user's labs are in nobody's way.
  if (process.getuid?.() !== 0 || readState(name) === undefined) return;
  throw new XdpctlError("XDPCTL_E_LAB_CONFLICT", `there is a lab ${name} on the host`, {
    remedy: `\`xdpctl lab destroy ${name}\` takes it down; \`--name\` gives this one another name`,
  });
}

function whyAnew(state: GuestLabState | null, machine: GuestMachine): string | undefined {
  const phase = guestLabPhase(state);
  if (state === null || phase === "unfinished" || phase === "busy") return "it was left unfinished";
  if (phase === "down") return guestLabEnd(state) === undefined ? "it hung" : "its guest was gone";
  const { kernel, memory, cpus } = state.machine;
  if (kernel.image !== machine.kernel.image) return `it was on Linux ${kernel.version}`;
  return memory !== machine.memory || cpus !== machine.cpus ? `it had ${cpus} CPUs and ${memory} MiB` : undefined;
}

function begin(spec: LabSpec, machine: GuestMachine, plan: GuestLabPlan): GuestLabState {
  const files = guestLabFiles(spec.name);
  checkSocketPaths(files);
  makeRuntimeDir(guestLabsDir());
  mkdirSync(files.dir, { mode: 0o700 });
  const state: GuestLabState = {
    version: 1,
    id: randomBytes(8).toString("hex"),
    name: spec.name,
    created: new Date().toISOString(),
    boot: bootId(),
    phase: "deploying",
    busy: self(),
    machine,
    spec,
  };
  try {
    writeGuestLab(state);
    const pid = startSupervisor(files, plan, "supervise-lab");
    state.supervisor = processMark(pid) ?? { pid, start: "" };
    writeGuestLab(state);
    return state;
  } catch (error) {
    removeGuestLab(spec.name, state);
    throw error;
  }
}

const LONGEST_SOCKET_PATH = 107;

function checkSocketPaths({ gdb, sockets }: GuestFiles): void {
  const long = [gdb, ...Object.values(sockets)].find((path) => Buffer.byteLength(path) > LONGEST_SOCKET_PATH);
  if (long === undefined) return;
  throw new XdpctlError("XDPCTL_E_VM_SETUP", `the path of a socket has at most ${LONGEST_SOCKET_PATH} bytes: ${long}`, {
    remedy: "choose a shorter directory (XDG_RUNTIME_DIR)",
  });
}
