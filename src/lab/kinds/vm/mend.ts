// SPDX-License-Identifier: MIT
import { XdpctlError } from "../../../errors/index.js";
import type { Place } from "../kind.js";
import { askGuest } from "./ask.js";
import { restoreBatch } from "./setup.js";

/** What is mended is compared by what `ip` shows before and after. */
const SCRIPT = `
show() { ip -br address; ip -o link; ip route; ip -6 route; }
before=$(show)
ip -force -batch - >/dev/null 2>&1
after=$(show)
[ "$before" = "$after" ] || echo mended`;

/**
 * Gives a guest that was kept the addresses, routes and link states of the lab's file, where it has lost them. Returns
 * whether anything was missing. Errors: XDPCTL_E_VM_SETUP.
 */
export function mendGuest(at: Place): boolean {
  const { ok, stdout, stderr } = askGuest(at, ["sh", "-c", SCRIPT], restoreBatch(at.node));
  if (ok || stdout !== "") return stdout !== "";
  if (stderr.trim() === "") return false;
  throw new XdpctlError("XDPCTL_E_VM_SETUP", `${at.node.name}: its guest could not be looked at`, {
    lines: stderr.trim().split("\n"),
  });
}
