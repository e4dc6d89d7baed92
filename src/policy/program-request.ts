// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import type { FromWorker, ToWorker } from "./messages.js";

/** What loads and unloads programs for a script; gives what it says when it is done. */
export type OnProgram = (op: "load" | "unload", program: string, interfaceName: string) => Promise<string>;

/** The answer to a script's `load` or `unload`: an error is text there. */
export async function answerProgram(
  { id, op, program, interface: name }: Extract<FromWorker, { type: "request" }>,
  onProgram: OnProgram | undefined,
): Promise<Extract<ToWorker, { type: "answer" }>> {
  try {
    if (onProgram === undefined) throw new XdpctlError("XDPCTL_E_NOT_SUPPORTED", "programs can't be loaded from here");
    return { type: "answer", id, ok: true, text: await onProgram(op, program, name) };
  } catch (thrown) {
    return { type: "answer", id, ok: false, text: XdpctlError.wrap(thrown).message };
  }
}
