// SPDX-License-Identifier: MIT
import { XdpctlError } from "../../errors/index.js";
import type { XdpInterface } from "../../xdp/index.js";

/** Why nothing more comes from the program `id` of an interface; undefined while it is there. */
export function goneOrReplaced(at: XdpInterface, id: number, program: string): XdpctlError | undefined {
  const link = at.now();
  if (link === undefined) {
    return new XdpctlError("XDPCTL_E_INTERFACE_GONE", `${at.name} is gone`, {
      remedy: "it was removed while it was captured; what came before is written",
    });
  }
  const { nativeId, genericId, progId } = link.xdp;
  if (nativeId === id || genericId === id) return undefined;
  const now = progId === 0 ? "there is none now" : `there is another now, id ${progId}`;
  return new XdpctlError("XDPCTL_E_NOT_ATTACHED", `${program} (id ${id}) was taken off ${at.name}: ${now}`, {
    remedy: "start again for what is there now; what came before is written",
  });
}
