// SPDX-License-Identifier: MIT
import type { Lab } from "../lab.js";
import type { CheckResult } from "./report.js";

/** Where a test can be halted, to look around in the lab. */
export type Halt =
  | { readonly before: string }
  | { readonly failed: CheckResult }
  /** After the last check, before the lab is taken down. */
  | { readonly end: true };

/** A lab that is up, and can be tested. */
export interface LabUp {
  /** `host`, or a guest's kernel, as it was asked for. */
  readonly target: string;
  /** The kernel's release. */
  readonly kernel: string;
  readonly lab: string;
  readonly nodes: readonly string[];
  /** Milliseconds. */
  readonly ms: number;
}

export interface TestOptions {
  /** Names of checks; they, and what they come after, are run. All by default. */
  checks?: readonly string[];
  /**
   * What the checks are run on, each by itself: `host`, or a kernel as `xdpctl vm run --kernel` takes it, for a guest. The
   * host by default.
   */
  kernels?: readonly string[];
  /** Leaves the lab up; on the host alone. */
  keep?: boolean;
  /** Directory for what a person needs after a failure. */
  bundle?: string;
  /** Looks for splats in the kernel's log; true by default. */
  kernelLog?: boolean;
  /** Aborted when the test is to end early: the lab is taken down. */
  signal: AbortSignal;
  onUp?: (up: LabUp) => void;
  /** The `target` is that of `LabUp`. */
  onCheck?: (result: CheckResult, target: string) => void;
  /** What takes long, such as fetching a kernel. */
  log?: (text: string) => void;
  /** Halts on the host alone. Resolves to false when the rest is not to be run. */
  halt?: (where: Halt, lab: Lab) => Promise<boolean>;
}
