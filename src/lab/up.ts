// SPDX-License-Identifier: MIT
import { setTimeout as pause } from "node:timers/promises";
import { XdpctlError } from "../errors/index.js";
import { type DeployOptions, makeLab } from "./deploy.js";
import { byKind, kindOf } from "./kinds/index.js";
import { locatedVm } from "./kinds/vm/start.js";
import type { Lab } from "./lab.js";
import type { LabSpec } from "./spec.js";

const LOOK_MS = 10;
const sleeper = new Int32Array(new SharedArrayBuffer(4));

/**
 * Brings a lab up, or an existing one to what the spec says: machines, links, addresses and routes that are right already
 * are left alone. Synchronous; everything is usable when it returns.
 *
 * What fails is taken back. What a crash leaves is marked, and removed by the next deploy of that name or by `gc`.
 * Errors: XDPCTL_E_PERMISSION, XDPCTL_E_LAB_CONFLICT, XDPCTL_E_LAB_DEPLOY, XDPCTL_E_BAD_NAME.
 */
export function deploy(spec: LabSpec, options: DeployOptions = {}): Lab {
  const { lab, isNew } = makeLab(spec, options);
  try {
    awaitKinds(lab);
    while (!isReady(lab)) Atomics.wait(sleeper, 0, 0, LOOK_MS);
  } catch (error) {
    if (isNew) lab.destroy();
    throw error;
  }
  return lab;
}

export interface BringUpOptions extends DeployOptions {
  /** Ends it: a lab that was not there before is gone again. Asked for only where there is something to wait for. */
  signal?: () => AbortSignal;
  /** What takes long, such as fetching a kernel. */
  log?: (text: string) => void;
}

/** The same, for who can wait and be interrupted meanwhile. Kernels that are not cached are fetched first. */
export async function bringUp(spec: LabSpec, options: BringUpOptions = {}): Promise<Lab> {
  const waits = spec.nodes.some((node) => kindOf(node).isReady !== undefined);
  if (!waits) return deploy(spec, options);
  const signal = options.signal?.();
  await fetchKernels(spec, { signal, log: options.log });
  const { lab, isNew } = makeLab(spec, options);
  try {
    awaitKinds(lab);
    while (!isReady(lab)) {
      if (signal?.aborted === true) throw new XdpctlError("XDPCTL_E_INTERRUPTED", "interrupted");
      await pause(LOOK_MS);
    }
  } catch (error) {
    if (isNew) lab.destroy();
    throw error;
  }
  return lab;
}

interface Work {
  readonly signal: AbortSignal | undefined;
  readonly log: ((text: string) => void) | undefined;
}

async function fetchKernels(spec: LabSpec, work: Work): Promise<void> {
  const kernels = new Set(spec.nodes.flatMap((node) => (node.vm === undefined ? [] : [locatedVm(spec, node).kernel])));
  const { resolveKernel } = await import("../vm/index.js");
  for (const kernel of kernels) await resolveKernel(kernel, work);
}

function awaitKinds({ spec, state }: Lab): void {
  for (const [kind, nodes] of byKind(spec.nodes)) kind.awaitReady?.(state, nodes);
}

function isReady({ spec, state }: Lab): boolean {
  return spec.nodes.every((node) => kindOf(node).isReady?.(state, node) ?? true);
}
