// SPDX-License-Identifier: MIT
import { writeFileSync } from "node:fs";
import { constants } from "node:os";
import { isatty } from "node:tty";
import type { Command } from "commander";
import type { CheckResult, Halt, Lab, TestReport, TestRun } from "../../lab/index.js";
import { leaf } from "../command.js";
import type { Context } from "../context.js";
import { type Cell, layout, visibleLines } from "../table.js";
import { pause } from "./pause.js";
import { openRoom } from "./select.js";

interface TestFlags {
  junit?: string;
  pause?: boolean;
  pauseOnFail?: boolean;
  keep?: boolean;
  bundle?: string;
  /** `--no-kernel-log` */
  kernelLog: boolean;
}

/** Nothing could be tested: neither passed nor failed. */
const NOTHING_TESTED = 2;
const DETAIL_LINES = 12;

export function registerTest(parent: Command, context: Context): void {
  leaf(parent, "test <file> [check...]", "bring a lab up, run the checks of its file, take it down", [
    ["xdpctl lab test labs/xdp.lab.yml", "exit status: 0 passed, 1 failed, 2 nothing tested, 3 warnings"],
    ["xdpctl lab test labs/xdp.lab.yml blocked", "one check, and what it comes after"],
    ["xdpctl lab test labs/xdp.lab.yml --junit report.xml --bundle failed", "for a CI system"],
    ["xdpctl lab test labs/xdp.lab.yml --pause-on-fail", "look around in the lab where a check failed"],
  ])
    .option("--junit <file>", "write JUnit XML, too")
    .option("--pause", "halt before each check, and at the end")
    .option("--pause-on-fail", "halt after a check that failed")
    .option("--keep", "leave the lab up")
    .option("--bundle <directory>", "after a failure: links, routes, maps, packets, logs of all machines, in files")
    .option("--no-kernel-log", "do not look for splats in the kernel's log")
    .action(async (file: string, names: string[], flags: TestFlags) => {
      process.exitCode = await test(file, names, flags, context);
    });
}

async function test(file: string, names: string[], flags: TestFlags, context: Context): Promise<number> {
  const { terminal } = context;
  const stop = new AbortController();
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  let stoppedBy: NodeJS.Signals | undefined;
  let inPause = false;
  const onSignal = (name: NodeJS.Signals): void => {
    // At a pause, Ctrl-C belongs to the command that runs there.
    if (inPause && name === "SIGINT") return;
    stoppedBy ??= name;
    stop.abort();
  };
  for (const name of signals) process.on(name, onSignal);
  try {
    const { readLab } = await openRoom();
    const { junitText, TEST_EXIT, testLab, timeText } = await import("../../lab/index.js");
    const halt = async (where: Halt, lab: Lab): Promise<boolean> => {
      if (!("failed" in where ? flags.pauseOnFail === true : flags.pause === true)) return true;
      if (!isatty(0) || !isatty(1)) {
        terminal.note(`not pausing ${haltText(where)}: standard input or output is no terminal`);
        return true;
      }
      inPause = true;
      try {
        return await pause(haltText(where), lab, stop.signal);
      } finally {
        inPause = false;
      }
    };
    const report = await testLab(readLab(file), {
      checks: names,
      signal: stop.signal,
      kernelLog: flags.kernelLog,
      ...(flags.keep === true ? { keep: true } : {}),
      ...(flags.bundle === undefined ? {} : { bundle: flags.bundle }),
      halt,
      onUp: (lab, ms) => terminal.note(`lab ${lab.name} is up: ${lab.nodes.join(", ")} (${ms} ms)`),
      onCheck: (result) => {
        if (terminal.interactive && !terminal.jsonMode) terminal.note(`${result.name}: ${stateText(result)}`);
      },
    });
    show(report, context, timeText);
    if (flags.junit !== undefined) writeFileSync(flags.junit, junitText(report));
    if (flags.keep === true) {
      const name = report.runs[0]?.lab ?? "";
      terminal.note(`lab ${name} goes on; \`xdpctl lab destroy ${name}\` takes it down`);
    }
    return TEST_EXIT[report.state];
  } catch (error) {
    if (stoppedBy !== undefined) {
      terminal.note("stopped; the lab is down");
      return 128 + constants.signals[stoppedBy];
    }
    terminal.failure(error);
    return NOTHING_TESTED;
  } finally {
    for (const name of signals) process.off(name, onSignal);
  }
}

function haltText(where: Halt): string {
  if ("before" in where) return `before check '${where.before}'`;
  return "failed" in where ? `after check '${where.failed.name}' failed` : "before the lab is taken down";
}

const stateText = ({ state }: CheckResult): string =>
  state === "passed" ? "ok" : state === "failed" ? "FAILED" : "skipped";

/** A row for each check, a column for each kernel; then what is to be said about those that did not pass. */
function show(report: TestReport, { terminal }: Context, timeText: (ms: number) => string): void {
  terminal.json(report);
  if (terminal.jsonMode) return;
  const { runs } = report;
  const names = [...new Set(runs.flatMap((run) => run.checks.map((check) => check.name)))];
  const find = (run: TestRun, name: string): CheckResult | undefined => run.checks.find((check) => check.name === name);
  const rows = names.map((name): Cell[] => [
    name,
    ...runs.map((run) => {
      const found = find(run, name);
      return found === undefined ? null : stateText(found);
    }),
    // With one kernel there is room for how long it took, and what was found.
    ...(runs.length > 1
      ? []
      : runs.flatMap((run) => [timeText(find(run, name)?.ms ?? 0), find(run, name)?.message ?? ""])),
  ]);
  if (runs.some((run) => run.kernelLog.state === "splat" || run.kernelLog.state === "unread")) {
    rows.push(["kernel log", ...runs.map(({ kernelLog }) => LOG_TEXT[kernelLog.state])]);
  }
  const columns = ["CHECK", ...runs.map((run) => run.kernel), ...(runs.length > 1 ? [] : ["TIME", "FOUND"])];
  for (const line of layout(
    columns.map((title) => ({ title })),
    rows,
  ))
    terminal.line(line);
  for (const run of runs) for (const line of remarks(run, runs.length > 1)) terminal.line(line);
  const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? "" : "s"}`;
  const all = runs.flatMap((run) => run.checks);
  const failed = all.filter((check) => check.state === "failed").length;
  const skipped = all.filter((check) => check.state === "skipped").length;
  const splats = runs.flatMap((run) => run.kernelLog.splats).length;
  const parts = [
    ...(runs.length > 1 ? [count(runs.length, "kernel")] : []),
    count(all.length, "check"),
    ...(failed > 0 ? [`${failed} failed`] : []),
    ...(skipped > 0 ? [`${skipped} skipped`] : []),
    ...(splats > 0 ? [count(splats, "kernel splat")] : []),
    timeText(report.ms),
  ];
  terminal.line(`${report.state}: ${parts.join(", ")}`);
}

const LOG_TEXT = { clean: "ok", splat: "FAILED", unread: "not read", off: "–" } as const;

function remarks(run: TestRun, named: boolean): string[] {
  const on = named ? ` on ${run.kernel}` : "";
  const cut = (text: string): string[] => {
    const lines = text.trimEnd().split("\n");
    const more = lines.length - DETAIL_LINES;
    return [...lines.slice(0, DETAIL_LINES), ...(more > 0 ? [`… ${more} more lines`] : [])];
  };
  const indented = (text: string): string[] => cut(visibleLines(text)).map((line) => `    ${line}`);
  const lines: string[] = [];
  for (const { name, state, message, details } of run.checks) {
    if (state === "failed")
      lines.push(`  ${name}${on}: ${message}`, ...(details === undefined ? [] : indented(details)));
    if (state === "skipped" && named) lines.push(`  ${name}${on}: ${message}`);
  }
  const { state, reason, splats } = run.kernelLog;
  for (const { title, lines: text } of splats)
    lines.push(`  kernel splat${on}: ${title}`, ...indented(text.join("\n")));
  if (state === "unread") lines.push(`  kernel log${on}: ${reason}`);
  if (run.bundle !== undefined) lines.push(`  what the machines were like${on}: ${run.bundle}/`);
  return lines;
}
