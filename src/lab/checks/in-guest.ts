// SPDX-License-Identifier: MIT
import { resolve } from "node:path";
import { type ErrorObject, XdpctlError } from "../../errors/index.js";
import { hasCapability } from "../../linux/index.js";
import { boot, Guest, type Kernel, resolveKernel } from "../../vm/index.js";
import { MOST_BOOTS } from "../kinds/vm/launch.js";
import { checkSuitsGuest, modulesFor } from "../in-guest/suits.js";
import type { LabSpec } from "../spec.js";
import { askInside } from "./ask-inside.js";
import { Bundle } from "./bundle.js";
import { Stopped } from "./command.js";
import { GuestLog } from "./guest-log.js";
import type { InsideMessage } from "./inside.js";
import type { LabUp, TestOptions } from "./options.js";
import { type CheckResult, runState, type TestRun } from "./report.js";
import type { CheckSpec } from "./spec.js";

/** The kernels that guests are tested on, by the names by which they were asked for. Throws what `resolveKernel` throws. */
export async function findKernels(
  spec: LabSpec,
  targets: readonly string[],
  { signal, log, keep }: TestOptions,
): Promise<Map<string, Kernel>> {
  const kernels = new Map<string, Kernel>();
  if (targets.length === 0) return kernels;
  checkSuitsGuest(spec, "tested");
  if (keep === true) throw new XdpctlError("XDPCTL_E_USAGE", "a lab in a guest can't be kept: it ends with the guest");
  for (const target of targets) kernels.set(target, await resolveKernel(target, { signal, log }));
  return kernels;
}

/** What came of the checks in a guest. */
interface Outcome {
  up?: LabUp;
  readonly checks: CheckResult[];
  /** Why not all were run. */
  error?: ErrorObject;
}

/**
 * Brings the lab up in a guest, runs the checks there, and ends the guest. What goes wrong with it is in the run; throws
 * `Stopped` alone.
 */
export async function runInGuest(
  target: string,
  kernel: Kernel,
  spec: LabSpec,
  checks: readonly CheckSpec[],
  options: TestOptions,
): Promise<TestRun> {
  const start = performance.now();
  const bundle = options.bundle === undefined ? undefined : new Bundle(resolve(options.bundle, kernel.version));
  const log = new GuestLog();
  const outcome: Outcome = { checks: [] };
  try {
    await test(outcome, { target, kernel, spec, checks, bundle, log, options });
  } catch (error) {
    if (error instanceof Stopped || options.signal.aborted) throw new Stopped();
    outcome.error = XdpctlError.wrap(error).toJSON();
  }
  const { up, error } = outcome;
  const run: TestRun = {
    target,
    kernel: up?.kernel ?? kernel.version,
    lab: up?.lab ?? spec.name,
    checks: error === undefined ? outcome.checks : withMissing(checks, outcome, error),
    kernelLog: options.kernelLog === false ? { state: "off", splats: [] } : log.result(),
    ms: Math.round(performance.now() - start),
    ...(error === undefined ? {} : { error }),
  };
  if (bundle === undefined || runState(run) !== "failed") return run;
  const whole = { ...run, bundle: bundle.directory };
  bundle.finish(whole, log.lines, new Map([["console.log", log.console]]));
  return whole;
}

interface Work {
  readonly target: string;
  readonly kernel: Kernel;
  readonly spec: LabSpec;
  readonly checks: readonly CheckSpec[];
  readonly bundle: Bundle | undefined;
  readonly log: GuestLog;
  readonly options: TestOptions;
}

/** Fills `outcome` as things happen. */
async function test(outcome: Outcome, work: Work): Promise<void> {
  const { target, spec, checks, bundle, log, options } = work;
  const stopped = new Promise<void>((resolve) => {
    if (options.signal.aborted) resolve();
    options.signal.addEventListener("abort", () => resolve(), { once: true });
  });
  const booted = await boot({
    attempts: MOST_BOOTS,
    start: () => {
      log.lines.length = 0;
      return Promise.resolve(startGuest(work));
    },
    stopped,
    onRetry: (error) => options.log?.(`${target}: ${error.message}: it is started again`),
  });
  if (booted === undefined) throw new Stopped();
  const { guest } = booted;
  const told = (message: InsideMessage): void => {
    if ("up" in message) {
      outcome.up = { ...message.up, target };
      options.onUp?.(outcome.up);
    } else if ("check" in message) {
      outcome.checks.push(message.check);
      options.onCheck?.(message.check, target);
    } else if ("file" in message) bundle?.take(message.file, Buffer.from(message.bytes, "base64"));
  };
  try {
    const plan = { spec, checks: checks.map(({ name }) => name), bundle: bundle !== undefined };
    const error = await Promise.race([askInside(guest, plan, told), stopped.then(() => "stopped" as const)]);
    if (error === "stopped") throw new Stopped();
    if (error === undefined) await guest.stop();
    else outcome.error = error;
  } finally {
    log.keep(guest);
    await guest[Symbol.asyncDispose]();
  }
}

function startGuest({ kernel, spec, log }: Work): Guest {
  return Guest.start({
    kernel,
    cwd: process.cwd(),
    // Checks may write wherever a command on the host could: it is thrown away.
    overlays: hasCapability("CAP_SYS_ADMIN") ? ["/"] : [],
    likelyModules: modulesFor(spec),
    onKmsg: (record) => log.add(record),
  });
}

/** The check during which the guest was lost failed; those after it were not run. */
function withMissing(
  checks: readonly CheckSpec[],
  { up, checks: results }: Outcome,
  { message }: ErrorObject,
): CheckResult[] {
  return checks.map(({ name, kind }, i) => {
    const found = results.find((one) => one.name === name);
    if (found !== undefined) return found;
    if (up === undefined || i !== results.length)
      return { name, kind, state: "skipped", message: `not run: ${message}`, ms: 0 };
    return { name, kind, state: "failed", message, ms: 0 };
  });
}
