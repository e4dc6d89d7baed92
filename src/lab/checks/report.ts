// SPDX-License-Identifier: MIT
import type { Splat } from "../../vm/index.js";

export type CheckState = "passed" | "failed" | "skipped";

export interface CheckResult {
  readonly name: string;
  readonly kind: string;
  readonly state: CheckState;
  /** What was found, or why it was not looked for. */
  readonly message: string;
  /** More of a failure: outputs of commands. */
  readonly details?: string;
  readonly ms: number;
}

/** What the kernel logged meanwhile. */
export interface KernelLogResult {
  /** `unread`: nobody knows; `off`: nobody was to look. */
  readonly state: "clean" | "splat" | "unread" | "off";
  /** Why it is unread. */
  readonly reason?: string;
  readonly splats: readonly Splat[];
}

/** One run of a lab's checks, on one kernel. */
export interface TestRun {
  /** What the lab ran on: `host`, or the name of a guest's kernel. */
  readonly target: string;
  /** The kernel's release. */
  readonly kernel: string;
  readonly lab: string;
  readonly checks: readonly CheckResult[];
  readonly kernelLog: KernelLogResult;
  readonly ms: number;
  /** Where the bundle of a failure is. */
  readonly bundle?: string;
}

export interface TestReport {
  readonly file: string;
  readonly name: string;
  readonly started: string;
  readonly runs: readonly TestRun[];
  readonly state: "passed" | "failed" | "warnings";
  readonly ms: number;
}

export function runState({ checks, kernelLog }: Pick<TestRun, "checks" | "kernelLog">): TestReport["state"] {
  if (kernelLog.state === "splat" || checks.some((one) => one.state === "failed")) return "failed";
  if (kernelLog.state === "unread" || checks.some((one) => one.state === "skipped")) return "warnings";
  return "passed";
}

/** The worst of several runs. */
export function reportState(runs: readonly TestRun[]): TestReport["state"] {
  const states = runs.map(runState);
  return states.find((state) => state === "failed") ?? states.find((state) => state === "warnings") ?? "passed";
}

/** 0: all passed; 1: a check failed, or the kernel did; 3: something could not be found out. */
export const TEST_EXIT: Record<TestReport["state"], number> = { passed: 0, failed: 1, warnings: 3 };
