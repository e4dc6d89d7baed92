// SPDX-License-Identifier: MIT
import { didYouMean, XdpctlError } from "../errors/index.js";
import { hasCapability, runtimeDir } from "../linux/index.js";
import { type Collected, collectOnHost } from "./gc.js";
import { GuestLab } from "./in-guest/guest-lab.js";
import { collectGuestLabs, removeGuestLab } from "./in-guest/remove.js";
import { guestLabNames, guestLabPhase, guestLabTrouble, readGuestLab } from "./in-guest/state.js";
import { destroyOnHost, type HostLabSummary, Lab, listOnHost } from "./lab.js";
import { withLabLock } from "./lock.js";
import { shown } from "./shown.js";
import { labNames, readState } from "./state.js";

/** Opens a lab by name, wherever it is. Errors: XDPCTL_E_NO_LAB, XDPCTL_E_LAB_CONFLICT when it is not finished. */
export function openLab(name: string): Lab | GuestLab {
  const inGuest = GuestLab.find(name);
  if (inGuest !== undefined) return inGuest;
  if (readState(name) === undefined) throw noLab(name);
  return Lab.open(name);
}

/** Takes a lab down, in whatever state it is. Errors: XDPCTL_E_NO_LAB, XDPCTL_E_PERMISSION. */
export function destroy(name: string): void {
  if (readGuestLab(name) !== undefined) withLabLock(() => removeGuestLab(name, readGuestLab(name)), runtimeDir());
  else if (readState(name) === undefined) throw noLab(name);
  else destroyOnHost(name);
}

function noLab(name: string): XdpctlError {
  const hint = didYouMean(name, [...guestLabNames(), ...labNames()]);
  return new XdpctlError("XDPCTL_E_NO_LAB", `there is no lab ${shown(name)}${hint}`);
}

export interface LabSummary extends Omit<HostLabSummary, "state"> {
  /** `down`: the guest that held it is gone. */
  readonly state: HostLabSummary["state"] | "down";
  /** The kernel of the guest that holds it; null on the host. */
  readonly kernel: string | null;
  /** Why it is `down`. */
  readonly fault?: string;
}

/** The labs of this machine, and this user's in guests, also those that were left unfinished. Needs no privilege. */
export function list(): LabSummary[] {
  const onHost = listOnHost().map((lab) => ({ ...lab, kernel: null }));
  const inGuests = guestLabNames().flatMap((name): LabSummary[] => {
    const state = readGuestLab(name);
    if (state === undefined) return [];
    const { spec, created = "", machine } = state ?? {};
    const nodes = spec?.nodes.map((node) => node.name) ?? [];
    const known = { name, file: spec?.file ?? "", created, nodes, tied: null, kernel: machine?.kernel.version ?? "" };
    const phase = guestLabPhase(state);
    const fault = state !== null && phase === "down" ? guestLabTrouble(state)?.message : undefined;
    return [{ ...known, state: phase, ...(fault === undefined ? {} : { fault }) }];
  });
  return [...onHost, ...inGuests].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Removes what crashes left behind: only labs, and names, that this program marked as its own. */
export function gc(): Collected[] {
  const inGuests = collectGuestLabs();
  // An ordinary user has no others.
  const rest = guestLabNames().length + inGuests.length > 0 && !hasCapability("CAP_SYS_ADMIN") ? [] : collectOnHost();
  return [...inGuests, ...rest];
}
