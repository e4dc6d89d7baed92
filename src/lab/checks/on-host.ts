// SPDX-License-Identifier: MIT
import { randomBytes } from "node:crypto";
import { release } from "node:os";
import { XdpctlError } from "../../errors/index.js";
import { bringUp } from "../up.js";
import { listOnHost } from "../lab.js";
import type { LabSpec } from "../spec.js";
import type { Bundle } from "./bundle.js";
import { type Bench, Stopped } from "./command.js";
import { readGuestFiles } from "./guest-files.js";
import { type CheckResult, HOST, type TestRun } from "./report.js";
import { runCheck } from "./run.js";
import type { CheckSpec } from "./spec.js";
import type { TestOptions } from "./options.js";

/** A name of its own for each test, so that two of one file can run side by side. */
function testName(name: string): string {
  return `${name.slice(0, 24).replace(/[_-]+$/, "")}-t${randomBytes(3).toString("hex")}`;
}

/** Runs the checks in namespaces of this machine. */
export async function runOnHost(
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
  }).catch((error: unknown) => {
    throw XdpctlError.is(error, "XDPCTL_E_INTERRUPTED") ? new Stopped() : error;
  });
  let results: readonly CheckResult[];
  let guests: ReturnType<typeof readGuestFiles>;
  try {
    const ms = Math.round(performance.now() - start);
    options.onUp?.({ target: HOST, kernel: release(), lab: lab.name, nodes: lab.nodes, ms });
    results = await runAll({ lab, signal: options.signal }, checks, bundle, options);
    log.readGuests(lab);
    guests = readGuestFiles(lab);
  } finally {
    if (options.keep !== true && listOnHost().some((one) => one.name === lab.name)) lab.destroy();
  }
  // Taking the lab down may be what the kernel trips over.
  const run: TestRun = {
    target: HOST,
    kernel: release(),
    lab: lab.name,
    checks: results,
    kernelLog: log.result(),
    ms: Math.round(performance.now() - start),
  };
  if (bundle === undefined || (!bundle.used && run.kernelLog.state !== "splat")) return run;
  const whole = { ...run, bundle: bundle.directory };
  bundle.finish(whole, log.lines, guests);
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
    onCheck?.(result, HOST);
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
