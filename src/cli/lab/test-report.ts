// SPDX-License-Identifier: MIT
import type { CheckResult, TestReport, TestRun } from "../../lab/index.js";
import type { Context } from "../context.js";
import { type Cell, layout, visibleLines } from "../table.js";

/** Lines that are shown of one failure. */
const DETAIL_LINES = 12;

/** A check's state in one word. */
export const stateText = ({ state }: CheckResult): string =>
  state === "passed" ? "ok" : state === "failed" ? "FAILED" : "skipped";

/** A row for each check, a column for each kernel; then what is to be said about those that did not pass. */
export function showReport(report: TestReport, { terminal }: Context, timeText: (ms: number) => string): void {
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
  if (runs.some((run) => run.error !== undefined)) {
    rows.push([
      "guest",
      ...runs.map(({ target, error }) => (target === "host" ? null : error === undefined ? "ok" : "FAILED")),
    ]);
  }
  // Guests are called by the names that they were asked for by.
  const title = ({ target, kernel }: TestRun): string => (runs.length > 1 || target !== "host" ? target : kernel);
  const columns = ["CHECK", ...runs.map(title), ...(runs.length > 1 ? [] : ["TIME", "FOUND"])];
  for (const line of layout(
    columns.map((title) => ({ title })),
    rows,
  ))
    terminal.line(line);
  for (const run of runs)
    for (const line of remarks(run, runs.length > 1 ? ` on ${title(run)}` : "")) terminal.line(line);
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

/** `on` names the run where there are several. */
function remarks(run: TestRun, on: string): string[] {
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
    if (state === "skipped" && on !== "" && run.error === undefined) lines.push(`  ${name}${on}: ${message}`);
  }
  if (run.error !== undefined) {
    const { code, message, lines: more = [] } = run.error;
    lines.push(`  guest${on}: ${message}  ${code}`, ...(more.length === 0 ? [] : indented(more.join("\n"))));
  }
  const { state, reason, splats } = run.kernelLog;
  for (const { title, lines: text } of splats)
    lines.push(`  kernel splat${on}: ${title}`, ...indented(text.join("\n")));
  if (state === "unread") lines.push(`  kernel log${on}: ${reason}`);
  if (run.bundle !== undefined) lines.push(`  what the machines were like${on}: ${run.bundle}/`);
  return lines;
}
