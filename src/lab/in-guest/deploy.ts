// SPDX-License-Identifier: MIT
import { existsSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { XdpctlError } from "../../errors/index.js";
import { runtimeDir } from "../../linux/index.js";
import { resolveKernel } from "../../vm/index.js";
import { checkLabName, type DeployProgress } from "../deploy.js";
import { readRecord } from "../kinds/vm/files.js";
import { isGuestReady } from "../kinds/vm/launch.js";
import { withLabLock } from "../lock.js";
import { labDir } from "../paths.js";
import type { LabSpec } from "../spec.js";
import { labNames } from "../state.js";
import { type Claim, claim } from "./claim.js";
import { GuestLab } from "./guest-lab.js";
import type { DeployMessage } from "./inside.js";
import { ownFolders } from "./program.js";
import { removeGuestLab } from "./remove.js";
import { type GuestLabState, type GuestMachine, readGuestLab, writeGuestLab } from "./state.js";
import { checkSuitsGuest, modulesFor } from "./suits.js";

const LOOK_MS = 10;
const KERNEL = "7.2";
const MEMORY = 1024;
const CPUS = 2;

export interface InGuestOptions {
  readonly name?: string;
  /** As `vm run --kernel` takes it; by default that of the guest that is there, else 7.2. */
  readonly kernel?: string;
  /** MiB; the same, else 1024. */
  readonly memory?: number;
  /** The same, else 2. */
  readonly cpus?: number;
  /** Ends it: a lab that was not there before is gone again. */
  readonly signal: AbortSignal;
  /** What takes long, and what was not expected. */
  readonly log: (text: string) => void;
  readonly onProgress: (progress: DeployProgress) => void;
}

export interface InGuest {
  readonly lab: GuestLab;
  /** `uname -r` of the guest. */
  readonly kernel: string;
  /** `tcg: there is no /dev/kvm` */
  readonly accelerator: string;
  /** Whether the guest was there before. */
  readonly kept: boolean;
}

/**
 * Boots a guest, and deploys a lab of namespaces in it; or takes the lab in a guest that is there to what the spec says. A
 * guest that is not the one asked for is started anew. Needs no privilege.
 * Errors: XDPCTL_E_USAGE for a lab that no guest can have in it, XDPCTL_E_LAB_CONFLICT, those of a guest's boot, of
 * fetching a kernel, and of `deploy`; XDPCTL_E_INTERRUPTED.
 */
export async function deployInGuest(given: LabSpec, options: InGuestOptions): Promise<InGuest> {
  const spec = { ...given, name: options.name ?? given.name };
  checkLabName(spec.name);
  checkSuitsGuest(spec, "deployed");
  const machine = await chooseMachine(spec.name, options);
  const made = claim(spec, machine, {
    ...machine,
    lab: spec.name,
    modules: modulesFor(spec),
    cwd: process.cwd(),
    visible: ownFolders(),
    unmounted: labNames().map(labDir),
  });
  const { state, isNew, instead } = made;
  if (instead !== undefined) options.log(`the guest is started anew: ${instead}`);
  try {
    await ready(state, options.signal);
    const lab = new GuestLab(state);
    await interruptible(options.signal, deployIn(lab, spec, options.onProgress));
    settle(state, (now) => {
      now.phase = "ready";
      now.spec = spec;
    });
    const { kernel: running = "", accelerator = "" } = readRecord(lab.files.record) ?? {};
    return { lab, kernel: running, accelerator, kept: !isNew };
  } catch (error) {
    takeBack(made);
    throw error;
  }
}

/** What is not said is as it is in the guest that is there. */
async function chooseMachine(name: string, options: InGuestOptions): Promise<GuestMachine> {
  const { kernel: wanted, memory = MEMORY, cpus = CPUS, signal, log } = options;
  const before = readGuestLab(name)?.machine;
  if (wanted === undefined && before !== undefined && existsSync(before.kernel.image)) {
    return { kernel: before.kernel, memory: options.memory ?? before.memory, cpus: options.cpus ?? before.cpus };
  }
  return { kernel: await resolveKernel(wanted ?? KERNEL, { signal, log }), memory, cpus };
}

async function ready(state: GuestLabState, signal: AbortSignal): Promise<void> {
  const { files } = new GuestLab(state);
  while (!isGuestReady(`the guest of ${state.name}`, files, state.supervisor)) {
    if (signal.aborted) throw interrupted();
    if (readGuestLab(state.name)?.id !== state.id) throw removed(state);
    await pause(LOOK_MS);
  }
}

async function deployIn(lab: GuestLab, spec: LabSpec, onProgress: InGuestOptions["onProgress"]): Promise<void> {
  let failure: XdpctlError | undefined;
  await lab.ask(["lab", "deploy-inside"], JSON.stringify(spec), (line) => {
    const message = JSON.parse(line) as DeployMessage;
    if ("error" in message) failure = XdpctlError.from(message.error);
    else onProgress(message.progress);
  });
  if (failure !== undefined) throw failure;
}

function interruptible<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(interrupted());
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
    work.then(resolve, reject);
  });
}

/** A lab that was not there goes; another stays as it is. */
function takeBack({ state, isNew }: Claim): void {
  settle(state, (now) => {
    if (isNew) removeGuestLab(now.name, now);
  });
}

/** Nobody works on it any more. */
function settle(state: GuestLabState, change: (now: GuestLabState) => void): void {
  withLabLock(() => {
    if (readGuestLab(state.name)?.id !== state.id) throw removed(state);
    delete state.busy;
    change(state);
    if (readGuestLab(state.name) !== undefined) writeGuestLab(state);
  }, runtimeDir());
}

const interrupted = (): XdpctlError => new XdpctlError("XDPCTL_E_INTERRUPTED", "interrupted");

const removed = ({ name }: GuestLabState): XdpctlError =>
  new XdpctlError("XDPCTL_E_NO_LAB", `the lab ${name} was removed while it was being made`);
