// SPDX-License-Identifier: MIT
import { constants } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type ErrorObject, XdpctlError } from "../../errors/index.js";
import type { Guest, GuestExit } from "../../vm/index.js";
import { STANDARD_PATH } from "../kinds/vm/files.js";
import { packageRoot } from "../paths.js";
import type { InsideMessage, InsidePlan } from "./inside.js";

/** Bytes of standard error that are kept. */
const MOST_ERRORS = 16_384;

/**
 * Runs this same program in a guest, which tests a lab there, and passes on what it tells. Returns why not all checks were
 * run, if so.
 */
export async function askInside(
  guest: Guest,
  plan: InsidePlan,
  told: (message: InsideMessage) => void,
): Promise<ErrorObject | undefined> {
  const { XDPCTL_LAB: _lab, XDPCTL_NODE: _node, PATH: path, ...env } = process.env;
  const command = guest.exec({
    argv: [process.execPath, join(packageRoot(), "bin", "xdpctl.cjs"), "lab", "test-inside"],
    cwd: process.cwd(),
    // An ordinary user's path may lack the tools of root, who runs it.
    env: { ...env, PATH: path === undefined ? STANDARD_PATH : `${path}:${STANDARD_PATH}` },
  });
  command.stdin.end(Buffer.from(JSON.stringify(plan)));
  let errors = "";
  command.stderr.setEncoding("utf8").on("data", (text: string) => {
    errors = (errors + text).slice(-MOST_ERRORS);
  });
  let over = false;
  let error: ErrorObject | undefined;
  const lines = createInterface({ input: command.stdout });
  const read = new Promise<void>((resolve) => lines.once("close", resolve));
  lines.on("line", (line) => {
    const message = JSON.parse(line) as InsideMessage;
    if ("over" in message) over = true;
    else if ("error" in message) error = message.error;
    told(message);
  });
  try {
    const exit = await guest.whileItLives(command.exit);
    await read;
    // What the kernel logged last comes before the answer.
    await guest.alive();
    if (over || error !== undefined) return error;
    return new XdpctlError("XDPCTL_E_VM_SETUP", `xdpctl in the guest ${endText(exit)}`, {
      lines: errors.trimEnd().split("\n").slice(-8),
    }).toJSON();
  } catch (cause) {
    return (await guest.lost(cause)).toJSON();
  } finally {
    lines.close();
  }
}

function endText(exit: GuestExit): string {
  if (exit.kind === "status") return `ended with ${exit.status}`;
  if (exit.kind === "failed") return `was not started: ${exit.what} (errno ${exit.errno})`;
  const found = Object.entries(constants.signals).find(([, number]) => number === exit.signal);
  return `was ended by ${found?.[0] ?? `signal ${exit.signal}`}`;
}
