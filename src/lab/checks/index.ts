// SPDX-License-Identifier: MIT
export { timeText } from "./amounts.js";
export { junitText } from "./junit.js";
export { type CheckResult, TEST_EXIT, type TestReport, type TestRun } from "./report.js";
export type { CheckSpec } from "./spec.js";
export { type InsideMessage, type InsidePlan, testInside } from "./inside.js";
export type { Halt, LabUp, TestOptions } from "./options.js";
export { testLab } from "./test.js";
