// SPDX-License-Identifier: MIT
import { rmSync } from "node:fs";
import { runtimeDir, tidyRuntimeDir } from "../../linux/index.js";
import { stopSupervisors } from "../kinds/vm/stop.js";
import { withLabLock } from "../lock.js";
import { bootId } from "../state.js";
import {
  type GuestLabState,
  guestLabEnd,
  guestLabFiles,
  guestLabNames,
  guestLabPhase,
  guestLabsDir,
  readGuestLab,
} from "./state.js";

/** Ends a lab's guest, and with it all that was in it, and removes what is known of it. */
export function removeGuestLab(name: string, state: GuestLabState | undefined | null): void {
  const { supervisor } = state ?? {};
  if (supervisor !== undefined && state?.boot === bootId()) stopSupervisors([supervisor]);
  rmSync(guestLabFiles(name).dir, { recursive: true, force: true });
  // With the last lab go the directories that were made for labs.
  tidyRuntimeDir(guestLabsDir());
}

/** Removes labs in guests that nobody will finish, and those whose guests are gone. */
export function collectGuestLabs(): { lab: string; reason: string }[] {
  if (guestLabNames().length === 0) return [];
  return withLabLock(() => {
    const found: { lab: string; reason: string }[] = [];
    for (const lab of guestLabNames()) {
      const state = readGuestLab(lab);
      const reason = state === undefined ? undefined : remainReason(state);
      if (reason === undefined) continue;
      removeGuestLab(lab, state);
      found.push({ lab, reason });
    }
    return found;
  }, runtimeDir());
}

function remainReason(state: GuestLabState | null): string | undefined {
  if (state === null) return "its state can't be read";
  if (state.boot !== bootId()) return "it is of an earlier boot";
  const phase = guestLabPhase(state);
  if (phase === "unfinished") return "its deploy was not finished";
  // One that hangs is for whoever looks for the reason.
  return phase === "down" && guestLabEnd(state) !== undefined ? "its guest is gone" : undefined;
}
