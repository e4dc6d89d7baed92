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
  /** Whether what a person needs after a failure is to be told. */
  readonly bundle: boolean;
}

/** What is told from inside of a guest, as it happens. */
export type InsideMessage =
  | { readonly up: LabUp }
  | { readonly check: CheckResult }
  /** A file of the bundle: its path there, and its bytes in base64. */
  | { readonly file: string; readonly bytes: string }
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
  const put = (file: string, content: string | Uint8Array): void =>
    tell({ file, bytes: Buffer.from(content).toString("base64") });
  try {
    await runOnHost(spec, chosen, bundle ? new Bundle("", put) : undefined, {
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
