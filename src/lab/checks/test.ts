// SPDX-License-Identifier: MIT
import { join } from "node:path";
import { compileFilter } from "../../capture/index.js";
import { didYouMean, XdpctlError } from "../../errors/index.js";
import { shown } from "../shown.js";
import type { LabSpec } from "../spec.js";
import { Bundle } from "./bundle.js";
import { runOnHost } from "./on-host.js";
import type { TestOptions } from "./options.js";
import { HOST, reportState, type TestReport, type TestRun } from "./report.js";
import type { CheckSpec } from "./spec.js";

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

/**
 * Brings a lab up under a name of its own, runs its checks, and takes it down, whatever happens; on each of the kernels.
 * Throws `Stopped` when it was told to end, what `resolveKernel` throws before anything is run, and what `deploy` throws on
 * the host: what goes wrong with a guest is in its run.
 */
export async function testLab(spec: LabSpec, options: TestOptions): Promise<TestReport> {
  const started = new Date();
  const start = performance.now();
  const checks = chosenChecks(spec, options.checks);
  const bundle = options.bundle === undefined ? undefined : new Bundle(options.bundle);
  const kernels = [...new Set(options.kernels ?? [HOST])];
  const others = kernels.filter((kernel) => kernel !== HOST);
  const guests = others.length === 0 ? undefined : await import("./in-guest.js");
  // A kernel that is not there should not be found out after an hour.
  const found = await guests?.findKernels(spec, others, options);
  const runs: TestRun[] = [];
  for (const target of kernels) {
    const kernel = found?.get(target);
    if (guests !== undefined && kernel !== undefined)
      runs.push(await guests.runInGuest(target, kernel, spec, checks, options));
    else if (kernels.length === 1 || bundle === undefined) runs.push(await runOnHost(spec, checks, bundle, options));
    else runs.push(await runOnHost(spec, checks, new Bundle(join(bundle.directory, HOST)), options));
  }
  return {
    file: spec.file,
    name: spec.name,
    started: started.toISOString(),
    runs,
    state: reportState(runs),
    ms: Math.round(performance.now() - start),
  };
}
