// SPDX-License-Identifier: MIT
import { XdpctlError } from "../../../errors/index.js";
import type { LinkWish, Place } from "../kind.js";
import { askGuest } from "./ask.js";
import { restoreBatch } from "./setup.js";

/**
 * Sets the NIC, takes what `ip` is to do from standard input, and shows the NIC once its carrier is that of the other end:
 * the supervisor passes that on.
 */
const SCRIPT = `
[ "$2" = as-is ] || ip link set dev "$1" "$2" || exit
ip -force -batch - >/dev/null 2>&1
tries=0
while [ $tries -lt 40 ]; do
  carrier=$(cat "/sys/class/net/$1/carrier" 2>/dev/null) || break
  [ "$carrier" != "$3" ] || break
  tries=$((tries + 1))
  sleep 0.05
done
ip -j link show dev "$1"`;

/**
 * Sets a guest's NIC up or down, if that is wished, and says how it is. What the kernel forgot of one that was down is given
 * back as the lab's file has it. Errors: XDPCTL_E_NO_INTERFACE.
 */
export function linkInGuest(at: Place, name: string, { up, carrier }: LinkWish): { up: boolean; carrier: boolean } {
  const verb = up === undefined ? "as-is" : up ? "up" : "down";
  const lines = up === true ? restoreBatch(at.node, name) : "";
  const { ok, stdout, stderr } = askGuest(at, ["sh", "-c", SCRIPT, "sh", name, verb, carrier ? "1" : "0"], lines);
  if (!ok) {
    throw new XdpctlError("XDPCTL_E_NO_INTERFACE", `${at.node.name}:${name} can't be set or seen in its guest`, {
      lines: stderr.trim().split("\n"),
    });
  }
  const [link] = JSON.parse(stdout) as { flags: string[] }[];
  const has = (flag: string): boolean => link?.flags.includes(flag) === true;
  return { up: has("UP"), carrier: has("LOWER_UP") };
}
