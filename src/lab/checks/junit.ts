// SPDX-License-Identifier: MIT
import { type CheckResult, HOST, type TestReport, type TestRun } from "./report.js";

const ENTITIES: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;" };

/** Text for an attribute or element. XML 1.0 has no way to write most control characters: they are shown as escapes. */
function xml(text: string): string {
  // A half of a surrogate pair has no UTF-8.
  return (
    Buffer.from(text)
      .toString()
      // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it is about
      .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\ufffe\uffff]/g, (c) => {
        return `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`;
      })
      .replace(/[&<>"']/g, (c) => ENTITIES[c] ?? c)
  );
}

/** An attribute; line breaks would be read as spaces. */
const attribute = (name: string, value: string | number): string =>
  ` ${name}="${xml(String(value)).replace(/\n/g, "&#10;").replace(/\t/g, "&#9;").replace(/\r/g, "&#13;")}"`;
const seconds = (ms: number): string => (ms / 1000).toFixed(3);

function testCase(suite: string, { name, kind, state, message, details, ms }: CheckResult): string {
  const open = `    <testcase${attribute("name", name)}${attribute("classname", suite)}${attribute("time", seconds(ms))}`;
  if (state === "passed") return `${open}/>`;
  const what =
    state === "skipped"
      ? `<skipped${attribute("message", message)}/>`
      : `<failure${attribute("message", message)}${attribute("type", kind)}>${xml(details ?? message)}</failure>`;
  return `${open}>\n      ${what}\n    </testcase>`;
}

/** A guest that was lost, or in which the lab could not be brought up, is a failure of its own. */
function guestCases({ target, error }: TestRun): CheckResult[] {
  if (target === HOST) return [];
  const common = { name: "guest", ms: 0 };
  if (error === undefined) return [{ ...common, kind: "guest", state: "passed", message: "" }];
  const { code, message, lines = [] } = error;
  return [{ ...common, kind: code, state: "failed", message, details: [message, ...lines].join("\n") }];
}

/** A splat of the kernel is a failure of its own; a log that could not be read is a skipped test. */
function kernelCases({ kernelLog }: TestRun): CheckResult[] {
  const common = { name: "kernel log", kind: "splat", ms: 0 };
  if (kernelLog.state === "off") return [];
  if (kernelLog.state === "clean") return [{ ...common, state: "passed", message: "" }];
  if (kernelLog.state === "unread") return [{ ...common, state: "skipped", message: kernelLog.reason ?? "not read" }];
  return kernelLog.splats.map(({ title, lines }, i) => ({
    ...common,
    name: i === 0 ? common.name : `${common.name} ${i + 1}`,
    state: "failed",
    message: title,
    details: lines.join("\n"),
  }));
}

/** A report as JUnit XML, as CI systems read it: a suite for each kernel, a case for each check. */
export function junitText(report: TestReport): string {
  const suites = report.runs.map((run) => {
    const suite = `${report.name} on ${run.kernel}`;
    const cases = [...run.checks, ...guestCases(run), ...kernelCases(run)];
    return { run, suite, cases };
  });
  const all = suites.flatMap(({ cases }) => cases);
  const counts = (cases: readonly CheckResult[]): string =>
    attribute("tests", cases.length) +
    attribute("failures", cases.filter((one) => one.state === "failed").length) +
    attribute("errors", 0) +
    attribute("skipped", cases.filter((one) => one.state === "skipped").length);
  const lines = [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites${attribute("name", report.name)}${counts(all)}${attribute("time", seconds(report.ms))}>`,
  ];
  for (const { run, suite, cases } of suites) {
    // JUnit's time stamps have no zone.
    const time = report.started.replace(/\.\d+Z$/, "");
    lines.push(
      `  <testsuite${attribute("name", suite)}${counts(cases)}${attribute("time", seconds(run.ms))}${attribute("timestamp", time)}>`,
      `    <properties>`,
      ...Object.entries({ file: report.file, target: run.target, kernel: run.kernel }).map(
        ([name, value]) => `      <property${attribute("name", name)}${attribute("value", value)}/>`,
      ),
      `    </properties>`,
      ...cases.map((one) => testCase(suite, one)),
      `  </testsuite>`,
    );
  }
  lines.push("</testsuites>");
  return `${lines.join("\n")}\n`;
}
