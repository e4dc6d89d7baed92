// SPDX-License-Identifier: MIT
import { type ErrorObject, XdpctlError } from "../../errors/index.js";
import type { Guest } from "../../vm/index.js";
import { ownProgram, rootEnvironment } from "../in-guest/program.js";
import { endText, talk } from "../talk.js";
import type { InsideMessage, InsidePlan } from "./inside.js";

/**
 * Runs this same program in a guest, which tests a lab there, and passes on what it tells. Returns why not all checks were
 * run, if so.
 */
export async function askInside(
  guest: Guest,
  plan: InsidePlan,
  told: (message: InsideMessage) => void,
): Promise<ErrorObject | undefined> {
  const { XDPCTL_LAB: _lab, XDPCTL_NODE: _node, ...env } = rootEnvironment();
  const command = guest.exec({ argv: ownProgram("lab", "test-inside"), cwd: process.cwd(), env });
  let over = false;
  let error: ErrorObject | undefined;
  const talking = talk(command, JSON.stringify(plan), (line) => {
    const message = JSON.parse(line) as InsideMessage;
    if ("over" in message) over = true;
    else if ("error" in message) error = message.error;
    told(message);
  });
  try {
    const { exit, errors } = await guest.whileItLives(talking);
    // What the kernel logged last comes before the answer.
    await guest.alive();
    if (over || error !== undefined) return error;
    return new XdpctlError("XDPCTL_E_VM_SETUP", `xdpctl in the guest ${endText(exit)}`, { lines: errors }).toJSON();
  } catch (cause) {
    return (await guest.lost(cause)).toJSON();
  }
}
