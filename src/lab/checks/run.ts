// SPDX-License-Identifier: MIT
import { XdpctlError } from "../../errors/index.js";
import { timeText } from "./amounts.js";
import { type Bench, runCommand, Stopped } from "./command.js";
import { commandText, endText, execute, map, outputText, xdp } from "./look.js";
import { failed, type Outcome } from "./outcome.js";
import { connectTo, ping, throughput } from "./reach.js";
import type { CheckResult } from "./report.js";
import { Watcher } from "./seen.js";
import type { CheckSpec } from "./spec.js";

/** Milliseconds that a step before a check may take. */
const STEP_MS = 60_000;
/** This machine can't find it out: that is no failure of what is tested. */
const LACKING: readonly string[] = ["XDPCTL_E_NOT_SUPPORTED", "XDPCTL_E_LIBRARY"];

/** A check with the packets that were captured for it, where some were. */
export interface Checked {
  readonly result: CheckResult;
  readonly pcapng?: Uint8Array;
}

/** Runs one check. `before` has the results of those that came before it. Throws `Stopped`. */
export async function runCheck(
  bench: Bench,
  check: CheckSpec,
  before: ReadonlyMap<string, CheckResult>,
  keep: boolean,
): Promise<Checked> {
  const start = performance.now();
  const done = (result: Pick<CheckResult, "state" | "message" | "details">, pcapng?: Uint8Array): Checked => ({
    result: { name: check.name, kind: check.kind, ...result, ms: Math.round(performance.now() - start) },
    ...(pcapng === undefined ? {} : { pcapng }),
  });
  for (const step of check.after) {
    if ("check" in step && before.get(step.check)?.state !== "passed") {
      return done({ state: "skipped", message: `\`${step.check}\` did not pass` });
    }
  }
  let watcher: Watcher | undefined;
  try {
    // What the steps send is to be seen, too.
    if (check.kind === "seen") watcher = new Watcher(bench, check, keep);
    const outcome = (await steps(bench, check)) ?? (await look(bench, check, watcher));
    const { ok, message, details } = outcome;
    const more = details === undefined || ok ? {} : { details };
    return done({ state: ok ? "passed" : "failed", message, ...more }, ok ? undefined : watcher?.pcapng());
  } catch (error) {
    if (error instanceof Stopped || bench.signal.aborted) throw new Stopped();
    const cause = XdpctlError.wrap(error);
    if (LACKING.includes(cause.code)) {
      return done({ state: "skipped", message: `${cause.message}: ${cause.remedy}` });
    }
    const details = cause.lines.length === 0 ? {} : { details: cause.lines.join("\n") };
    return done({ state: "failed", message: `${cause.message} (${cause.code})`, ...details });
  } finally {
    watcher?.close();
  }
}

/** The commands before a check; a failure, where one fails. */
async function steps(bench: Bench, check: CheckSpec): Promise<Outcome | undefined> {
  for (const step of check.after) {
    if (!("exec" in step)) continue;
    const ran = await runCommand(bench, step.on, step.exec, { timeout: STEP_MS });
    if (ran.status === 0) continue;
    const what = `before it, \`${commandText(step.exec)}\` on ${step.on} ${endText(ran, STEP_MS)}`;
    return failed(what, outputText(ran));
  }
  return undefined;
}

async function look(bench: Bench, check: CheckSpec, watcher: Watcher | undefined): Promise<Outcome> {
  switch (check.kind) {
    case "ping":
      return ping(bench, check);
    case "tcp":
    case "udp":
      return connectTo(bench, check);
    case "exec":
      return execute(bench, check);
    case "xdp":
      return xdp(bench, check);
    case "map":
      return map(bench, check);
    case "throughput":
      return throughput(bench, check);
    case "seen":
      return (await watcher?.outcome(bench.signal)) ?? failed(`nothing was captured in ${timeText(check.within)}`);
  }
}
