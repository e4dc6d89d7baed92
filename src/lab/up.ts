// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import { type DeployOptions, type Made, makeLab, settle, waits } from "./deploy.js";
import { lease } from "./dhcp.js";
import { impairGuests } from "./impair.js";
import { byKind, kindOf } from "./kinds/index.js";
import { missingNotes } from "./kinds/vm/own-modules.js";
import { locatedVm } from "./kinds/vm/start.js";
import type { Lab } from "./lab.js";
import { withLabLock } from "./lock.js";
import type { LabSpec } from "./spec.js";
import { type LabState, readState, writeState } from "./state.js";
import { interrupted, type Waiting, waitAsync, waitBlocking } from "./waiting.js";

const LOOK_MS = 10;

/**
 * Brings a lab up, or an existing one to what the spec says: machines, links, addresses and routes that are right already
 * are left alone. Synchronous; everything is usable when it returns.
 *
 * What fails is taken back. What a crash leaves is marked, and removed by the next deploy of that name or by `gc`.
 * Errors: XDPCTL_E_PERMISSION, XDPCTL_E_LAB_CONFLICT, XDPCTL_E_LAB_DEPLOY, XDPCTL_E_BAD_NAME.
 */
export function deploy(spec: LabSpec, options: DeployOptions = {}): Lab {
  const made = makeLab(spec, options);
  try {
    waitBlocking(untilReady(made.lab));
    return done(made, options);
  } catch (error) {
    takeBack(made);
    throw error;
  }
}

export interface BringUpOptions extends DeployOptions {
  /** Ends it: a lab that was not there before is gone again. Asked for only where there is something to wait for. */
  signal?: () => AbortSignal;
  /** What takes long, such as fetching a kernel. */
  log?: (text: string) => void;
}

/** The same, for who can wait and be interrupted meanwhile. Kernels that are not cached are fetched first. */
export async function bringUp(spec: LabSpec, options: BringUpOptions = {}): Promise<Lab> {
  if (!waits(spec)) return deploy(spec, options);
  const signal = options.signal?.();
  await fetchKernels(spec, { signal, log: options.log });
  let made: Made | undefined;
  try {
    made = makeLab(spec, options);
    await waitAsync(untilReady(made.lab), signal);
    return done(made, options);
  } catch (error) {
    if (made !== undefined) takeBack(made);
    // A signal may have ended what the lab is made with, too: which was the reason is heard only now.
    await new Promise(setImmediate);
    if (signal?.aborted !== true) throw error;
    throw interrupted(made?.isNew === false ? `the lab ${made.lab.name} goes on` : "the lab was taken down again");
  }
}

/** Its machines are ready: it is anybody's. */
function done({ lab, kept }: Made, { onProgress }: DeployOptions): Lab {
  if (!waits(lab.spec)) return lab;
  rewrite(lab);
  for (const node of lab.spec.nodes) {
    const mended = kept.has(node.name) && kindOf(node).mend?.({ state: lab.state, node }) === true;
    if (mended) onProgress?.({ step: "mended", node: node.name });
  }
  for (const note of impairGuests(lab)) onProgress?.({ step: "left-out", note });
  return lab;
}

/** A lab that was not there goes; another stays as it is, with a machine that is down. */
function takeBack({ lab, isNew }: Made): void {
  if (readState(lab.name)?.id !== lab.state.id) throw removed(lab);
  if (isNew) lab.destroy();
  else rewrite(lab);
}

function rewrite(lab: Lab): void {
  withLabLock(() => {
    if (readState(lab.name)?.id !== lab.state.id) throw removed(lab);
    settle(lab.state as LabState);
    writeState(lab.state as LabState);
  });
}

const removed = ({ name }: Lab): XdpctlError =>
  new XdpctlError("XDPCTL_E_NO_LAB", `the lab ${name} was removed while it was being made`);

interface Work {
  readonly signal: AbortSignal | undefined;
  readonly log: ((text: string) => void) | undefined;
}

async function fetchKernels(spec: LabSpec, work: Work): Promise<void> {
  const vms = spec.nodes.flatMap((node) => (node.vm === undefined ? [] : [{ node, vm: locatedVm(spec, node) }]));
  if (vms.length === 0) return;
  const { resolveKernel } = await import("../vm/index.js");
  for (const kernel of new Set(vms.map(({ vm }) => vm.kernel))) {
    const { version } = await resolveKernel(kernel, work);
    for (const { node, vm } of vms.filter((one) => one.vm.kernel === kernel)) {
      for (const note of missingNotes(vm, version)) work.log?.(`${node.name}: left out: ${note}`);
    }
  }
}

/** In the order in which one needs the other: what answers DHCP may be in a machine that is not ready yet. */
function* untilReady(lab: Lab): Waiting {
  const { spec, state } = lab;
  for (const [kind, nodes] of byKind(spec.nodes)) {
    if (kind.awaitReady !== undefined) yield* kind.awaitReady(state, nodes);
  }
  while (!spec.nodes.every((node) => kindOf(node).isReady?.(state, node) ?? true)) yield LOOK_MS;
  yield* lease(lab);
}
