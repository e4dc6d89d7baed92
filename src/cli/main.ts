// SPDX-License-Identifier: MIT
import { ReaderGone } from "./console.js";
import { execute } from "./execute.js";
import { ShellContext } from "./shell.js";

/** The whole program: runs one command line and ends the process with its exit code. */
export async function main(argv: readonly string[] = process.argv.slice(2)): Promise<never> {
  await keepWhatTheLauncherGave();
  const context = new ShellContext();
  let code = 0;
  try {
    code = await execute(argv, context);
  } catch (error) {
    // `xdpctl … | head`: who no longer reads wants no more, and no complaint either.
    if (!(error instanceof ReaderGone)) throw error;
  }
  await context.close();
  return process.exit(code || process.exitCode);
}

/** scripts/launcher gives capabilities to this process; what it starts shall have none. */
async function keepWhatTheLauncherGave(): Promise<void> {
  if (process.env.XDPCTL_LAUNCHED === undefined) return;
  delete process.env.XDPCTL_LAUNCHED;
  const { keepCapabilitiesFromChildren } = await import("../linux/index.js");
  keepCapabilitiesFromChildren();
}
