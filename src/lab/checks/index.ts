// SPDX-License-Identifier: MIT
export { timeText } from "./amounts.js";
export { junitText } from "./junit.js";
export { type CheckResult, TEST_EXIT, type TestReport, type TestRun } from "./report.js";
export type { CheckSpec } from "./spec.js";
export { type Halt, testLab, type TestOptions } from "./test.js";
