// SPDX-License-Identifier: MIT
import type { testInside as TestInside } from "./inside.js";
import type { testLab as TestLab } from "./test.js";

export { timeText } from "./amounts.js";
export { junitText } from "./junit.js";
export { type CheckResult, TEST_EXIT, type TestReport, type TestRun } from "./report.js";
export type { CheckSpec } from "./spec.js";
export type { InsideMessage, InsidePlan } from "./inside.js";
export type { Halt, LabUp, TestOptions } from "./options.js";

// What runs checks needs most of the lab, and few commands run checks: it is loaded when it is called.

/** Brings a lab up under a name of its own, runs its checks, and takes it down ({@link TestLab}). */
export const testLab: typeof TestLab = async (...args) => (await import("./test.js")).testLab(...args);

/** Runs checks where this process is: in a guest that was started for them ({@link TestInside}). */
export const testInside: typeof TestInside = async (...args) => (await import("./inside.js")).testInside(...args);
