// SPDX-License-Identifier: MIT
import { randomBytes } from "node:crypto";
import { release } from "node:os";
import { compileFilter } from "../../capture/index.js";
import { didYouMean, XdpctlError } from "../../errors/index.js";
import { bringUp } from "../up.js";
import type { Lab } from "../lab.js";
import { list } from "../lab.js";
import { shown } from "../shown.js";
import type { LabSpec } from "../spec.js";
import { Bundle } from "./bundle.js";
import { type Bench, Stopped } from "./command.js";
import { type CheckResult, reportState, type TestReport, type TestRun } from "./report.js";
import { runCheck } from "./run.js";
import type { CheckSpec } from "./spec.js";

/** Where a test can be halted, to look around in the lab. */
export type Halt =
  | { readonly before: string }
  | { readonly failed: CheckResult }
  /** After the last check, before the lab is taken down. */
  | { readonly end: true };

export interface TestOptions {
  /** Names of checks; they, and what they come after, are run. All by default. */
  checks?: readonly string[];
  /** Leaves the lab up. */
  keep?: boolean;
  /** Directory for what a person needs after a failure. */
  bundle?: string;
  /** Looks for splats in the kernel's log; true by default. */
  kernelLog?: boolean;
  /** Aborted when the test is to end early: the lab is taken down. */
  signal: AbortSignal;
  onUp?: (lab: Lab, ms: number) => void;
  onCheck?: (result: CheckResult) => void;
  /** Resolves to false when the rest is not to be run. */
  halt?: (where: Halt, lab: Lab) => Promise<boolean>;
}

/** The checks that a test runs, in the order of the file. Throws XDPCTL_E_USAGE for none, or unknown names. */
export function chosenChecks(spec: LabSpec, names: readonly string[] = []): CheckSpec[] {
  if (spec.checks.length === 0) {
    throw new XdpctlError("XDPCTL_E_USAGE", `${spec.file} has no \`checks\`: there is nothing to test`, {
      remedy: "docs/lab-file.md has the checks that there are",
    });
  }
  const known = new Map(spec.checks.map((check) => [check.name, check]));
  const wanted = new Set<string>();
  const want = (name: string): void => {
    const check = known.get(name);
    if (check === undefined) {
      const hint = didYouMean(name, known.keys()) || `: there are ${[...known.keys()].join(", ")}`;
      throw new XdpctlError("XDPCTL_E_USAGE", `${spec.file} has no check ${shown(name)}${hint}`);
    }
    if (wanted.has(name)) return;
    wanted.add(name);
    for (const step of check.after) if ("check" in step) want(step.check);
  };
  for (const name of names.length === 0 ? known.keys() : names) want(name);
  const checks = spec.checks.filter((check) => wanted.has(check.name));
  for (const check of checks) if (check.kind === "seen") checkFilter(check.name, check.filter);
  return checks;
}

function checkFilter(name: string, filter: string): void {
  try {
    compileFilter(filter);
  } catch (error) {
    // Without libpcap the check is skipped, with that reason.
    if (XdpctlError.is(error, "XDPCTL_E_LIBRARY")) return;
    throw new XdpctlError("XDPCTL_E_USAGE", `the check ${name}: ${XdpctlError.wrap(error).message}`, { cause: error });
  }
}

/** A name of its own for each test, so that two of one file can run side by side. */
function testName(name: string): string {
  return `${name.slice(0, 24).replace(/[_-]+$/, "")}-t${randomBytes(3).toString("hex")}`;
}

/**
 * Brings a lab up under a name of its own, runs its checks, and takes it down, whatever happens. Throws `Stopped` when it
 * was told to end, and what `deploy` throws.
 */
export async function testLab(spec: LabSpec, options: TestOptions): Promise<TestReport> {
  const started = new Date();
  const start = performance.now();
  const checks = chosenChecks(spec, options.checks);
  const bundle = options.bundle === undefined ? undefined : new Bundle(options.bundle);
  const runs = [await runOnHost(spec, checks, bundle, options)];
  return {
    file: spec.file,
    name: spec.name,
    started: started.toISOString(),
    runs,
    state: reportState(runs),
    ms: Math.round(performance.now() - start),
  };
}

async function runOnHost(
  spec: LabSpec,
  checks: readonly CheckSpec[],
  bundle: Bundle | undefined,
  options: TestOptions,
): Promise<TestRun> {
  const start = performance.now();
  // It knows what a splat looks like from the guests' side of the house, which no other verb needs.
  const { LogWatch } = await import("./kernel-log.js");
  using log = new LogWatch(options.kernelLog !== false);
  const lab = await bringUp(spec, {
    name: testName(spec.name),
    tied: options.keep !== true,
    signal: () => options.signal,
  });
  let results: readonly CheckResult[];
  try {
    options.onUp?.(lab, Math.round(performance.now() - start));
    results = await runAll({ lab, signal: options.signal }, checks, bundle, options);
    log.readGuests(lab);
  } finally {
    if (options.keep !== true && list().some((one) => one.name === lab.name)) lab.destroy();
  }
  // Taking the lab down may be what the kernel trips over.
  const run: TestRun = {
    target: "host",
    kernel: release(),
    lab: lab.name,
    checks: results,
    kernelLog: log.result(),
    ms: Math.round(performance.now() - start),
  };
  if (bundle === undefined || (!bundle.used && run.kernelLog.state !== "splat")) return run;
  const whole = { ...run, bundle: bundle.directory };
  bundle.finish(whole, log.lines);
  return whole;
}

async function runAll(
  bench: Bench,
  checks: readonly CheckSpec[],
  bundle: Bundle | undefined,
  { halt, onCheck }: TestOptions,
): Promise<CheckResult[]> {
  const results = new Map<string, CheckResult>();
  const put = (result: CheckResult): void => {
    results.set(result.name, result);
    onCheck?.(result);
  };
  let goesOn = true;
  for (const check of checks) {
    goesOn &&= (await halt?.({ before: check.name }, bench.lab)) ?? true;
    if (bench.signal.aborted) throw new Stopped();
    if (!goesOn) {
      put({ name: check.name, kind: check.kind, state: "skipped", message: "the test was ended before it", ms: 0 });
      continue;
    }
    const { result, pcapng } = await runCheck(bench, check, results, bundle !== undefined);
    put(result);
    if (result.state !== "failed") continue;
    await bundle?.add(bench, result, pcapng);
    goesOn = (await halt?.({ failed: result }, bench.lab)) ?? true;
  }
  if (goesOn) await halt?.({ end: true }, bench.lab);
  return [...results.values()];
}
