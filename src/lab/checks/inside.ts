// SPDX-License-Identifier: MIT
import { type ErrorObject, XdpctlError } from "../../errors/index.js";
import type { LabSpec } from "../spec.js";
import { Bundle } from "./bundle.js";
import { runOnHost } from "./on-host.js";
import type { LabUp } from "./options.js";
import type { CheckResult } from "./report.js";

/** What is to be tested in a guest. */
export interface InsidePlan {
  readonly spec: LabSpec;
  /** Names of the checks to be run. */
  readonly checks: readonly string[];
  /** Directory for what a person needs after a failure. */
  readonly bundle?: string;
}

/** What is told from inside of a guest, as it happens. */
export type InsideMessage =
  | { readonly up: LabUp }
  | { readonly check: CheckResult }
  /** All checks were run. */
  | { readonly over: true }
  | { readonly error: ErrorObject };

/**
 * Tests a lab in the guest that this process runs in. The kernel's log is read from outside, which hears of a panic, too.
 * Errors are told, not thrown.
 */
export async function testInside(
  plan: InsidePlan,
  signal: AbortSignal,
  tell: (message: InsideMessage) => void,
): Promise<void> {
  const { spec, checks, bundle } = plan;
  const chosen = spec.checks.filter((check) => checks.includes(check.name));
  try {
    await runOnHost(spec, chosen, bundle === undefined ? undefined : new Bundle(bundle), {
      signal,
      kernelLog: false,
      onUp: (up) => tell({ up }),
      onCheck: (check) => tell({ check }),
    });
    tell({ over: true });
  } catch (error) {
    tell({ error: XdpctlError.wrap(error).toJSON() });
  }
}
