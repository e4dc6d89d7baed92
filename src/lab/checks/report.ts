// SPDX-License-Identifier: MIT
import type { ErrorObject } from "../../errors/index.js";
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

/** What this kernel is called among those of a test. */
export const HOST = "host";

/** One run of a lab's checks, on one kernel. */
export interface TestRun {
  /** What the lab ran on: `host`, or a guest's kernel, as it was asked for. */
  readonly target: string;
  /** The kernel's release. */
  readonly kernel: string;
  readonly lab: string;
  readonly checks: readonly CheckResult[];
  readonly kernelLog: KernelLogResult;
  readonly ms: number;
  /** Why the checks were not all run: the guest is gone, or the lab could not be brought up in it. */
  readonly error?: ErrorObject;
  /** Where the bundle of a failure is. */
  readonly bundle?: string;
}

export interface TestReport {
  readonly file: string;
  readonly name: string;
  readonly started: string;
  readonly runs: readonly TestRun[];
  readonly state: "passed" | "failed" | "untested" | "warnings";
  readonly ms: number;
}

/** A guest that ends by itself, or answers no more, is its kernel's failure; all else kept the test from being one. */
const KERNEL_FAILURES: readonly string[] = [
  "XDPCTL_E_VM_PANIC",
  "XDPCTL_E_VM_HANG",
  "XDPCTL_E_VM_DIED",
  "XDPCTL_E_VM_NO_STATUS",
];

export function runState({
  checks,
  kernelLog,
  error,
}: Pick<TestRun, "checks" | "kernelLog" | "error">): TestReport["state"] {
  if (kernelLog.state === "splat" || checks.some((one) => one.state === "failed")) return "failed";
  if (error !== undefined) return KERNEL_FAILURES.includes(error.code) ? "failed" : "untested";
  if (kernelLog.state === "unread" || checks.some((one) => one.state === "skipped")) return "warnings";
  return "passed";
}

const WORST = ["failed", "untested", "warnings"] as const;

/** The worst of several runs. */
export function reportState(runs: readonly TestRun[]): TestReport["state"] {
  const states = new Set(runs.map(runState));
  return WORST.find((state) => states.has(state)) ?? "passed";
}

/** 0: all passed; 1: a check failed, or the kernel did; 2: not tested; 3: something could not be found out. */
export const TEST_EXIT: Record<TestReport["state"], number> = { passed: 0, failed: 1, untested: 2, warnings: 3 };
