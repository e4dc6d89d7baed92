// SPDX-License-Identifier: MIT
import { constants } from "node:os";
import { XdpctlError } from "../errors/index.js";
import type { Context } from "./context.js";

/** Runs what Ctrl-C may end: then there is no result, and the exit status is the signal's, as a shell has it. */
export async function unlessEnded<T>(context: Context, body: () => Promise<T>): Promise<T | undefined> {
  try {
    return await body();
  } catch (error) {
    if (!XdpctlError.is(error, "XDPCTL_E_INTERRUPTED") || context.kind !== "shell") throw error;
    context.terminal.note(error.message);
    const name = String(context.signal.reason) as NodeJS.Signals;
    process.exitCode = 128 + (constants.signals[name] ?? constants.signals.SIGINT);
    return undefined;
  }
}
