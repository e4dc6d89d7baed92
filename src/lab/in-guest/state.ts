// SPDX-License-Identifier: MIT
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { XdpctlError } from "../../errors/index.js";
import { isRuntimeDirOwn, runtimeDir } from "../../linux/index.js";
import { type GuestFiles, guestFilesIn, writeJson } from "../kinds/vm/files.js";
import { guestEnd, guestTrouble } from "../kinds/vm/launch.js";
import type { Kernel } from "../../vm/index.js";
import type { LabSpec } from "../spec.js";
import { bootId, isAlive, isShown, type ProcessMark } from "../state.js";

/** What is known on the host of a lab that is in a guest. */
export interface GuestLabState {
  readonly version: 1;
  readonly id: string;
  readonly name: string;
  readonly created: string;
  /** The host's boot id. */
  readonly boot: string;
  phase: "deploying" | "ready";
  /** Who makes or changes it at the moment. */
  busy?: ProcessMark;
  /** The process with which the guest goes. */
  supervisor?: ProcessMark;
  /** What the guest is made of. */
  readonly machine: GuestMachine;
  /** As it was deployed last; before that, as it is to be. */
  spec: LabSpec;
}

export interface GuestMachine {
  readonly kernel: Kernel;
  /** MiB */
  readonly memory: number;
  readonly cpus: number;
}

/** A user's own labs; root's are beside those on the host. */
export const guestLabsDir = (): string => join(runtimeDir(), "guest-labs");
const guestLabDir = (name: string): string => join(guestLabsDir(), name);
const statePath = (name: string): string => join(guestLabDir(name), "state.json");

export const guestLabFiles = (name: string): GuestFiles => guestFilesIn(guestLabDir(name));

export const writeGuestLab = (state: GuestLabState): void => writeJson(statePath(state.name), state);

/** The state of a lab in a guest; undefined when there is none, `null` when there is one that can't be read. */
export function readGuestLab(name: string): GuestLabState | undefined | null {
  // A name that can't be a lab's must not become a path.
  if (!/^[A-Za-z0-9_-]+$/.test(name) || !isShown(name) || !isRuntimeDirOwn()) return undefined;
  try {
    const state = JSON.parse(readFileSync(statePath(name), "utf8")) as GuestLabState;
    return state.version === 1 && state.name === name ? state : null;
  } catch {
    return existsSync(guestLabDir(name)) ? null : undefined;
  }
}

/** The names of this user's labs in guests, whatever state they are in. */
export function guestLabNames(): string[] {
  try {
    return isRuntimeDirOwn() ? readdirSync(guestLabsDir()).filter(isShown).sort() : [];
  } catch {
    return [];
  }
}

/** Why a lab that was made can't be used; undefined where it can. */
export const guestLabTrouble = (state: GuestLabState): XdpctlError | undefined =>
  guestTrouble(guestLabFiles(state.name), state.supervisor, `xdpctl lab gdb --lab ${state.name}`);

/** Why its guest is not there any more. */
export const guestLabEnd = (state: GuestLabState): XdpctlError | undefined =>
  guestEnd(guestLabFiles(state.name), state.supervisor);

/** `down`: it was made, and its guest is gone, or hangs. */
export function guestLabPhase(state: GuestLabState | null): "ready" | "down" | "busy" | "unfinished" {
  if (state === null || state.boot !== bootId()) return "unfinished";
  if (state.phase === "deploying") return isAlive(state.busy) ? "busy" : "unfinished";
  return guestLabTrouble(state) === undefined ? "ready" : "down";
}
