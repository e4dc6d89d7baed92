// SPDX-License-Identifier: MIT
import { hasCapability } from "../linux/index.js";
import { guestLabNames, readGuestLab } from "./in-guest/state.js";
import type { Argv, Ending } from "./kinds/kind.js";
import { becomeInNamespaces } from "./kinds/netns.js";
import { guestFault } from "./kinds/vm/inspect.js";
import { standInGuest } from "./kinds/vm/enter.js";
import { bootId, labNames, machineLives, readState } from "./state.js";

/**
 * How to become, or to stand for, commands in a machine, with what that takes and no more: loading the rest of this room would
 * take longer than many a command. `lab` is the only one where none is given. Undefined for containers, and whenever
 * something is not as it should be: `openLab` says what.
 */
export function quickExec(lab: string | undefined, machine: string): ((argv: Argv) => Promise<Ending>) | undefined {
  const name = lab ?? onlyLab();
  // Inside of a machine it takes more to find a lab.
  if (name === undefined || process.env.XDPCTL_NODE !== undefined || readGuestLab(name) !== undefined) return undefined;
  const state = readState(name);
  if (state === undefined || state === null || state.boot !== bootId() || state.phase !== "ready") return undefined;
  const node = state.spec.nodes.find((one) => one.name === machine);
  if (node === undefined || !hasCapability("CAP_SYS_ADMIN") || !machineLives(state, machine)) return undefined;
  const place = { state, node };
  if (node.kind === "netns") return (argv) => becomeInNamespaces(place, argv, {});
  if (node.kind === "vm" && guestFault(place) === undefined) return (argv) => standInGuest(place, argv, {});
  return undefined;
}

function onlyLab(): string | undefined {
  const given = process.env.XDPCTL_LAB;
  if (given !== undefined) return given;
  const names = labNames();
  return names.length === 1 && guestLabNames().length === 0 ? names[0] : undefined;
}
