// SPDX-License-Identifier: MIT
import { existsSync, unlinkSync } from "node:fs";
import { hasCapability, needCapabilities } from "../linux/index.js";
import { everyKind } from "./kinds/index.js";
import { withLabLock } from "./lock.js";
import { labNamesInNetns, removeEmpty, removeLab } from "./remove.js";
import { bootId, isAlive, labNames, type LabState, readState } from "./state.js";

export interface Collected {
  readonly lab: string;
  readonly reason: string;
}

/** Why a lab is a remain that nobody will finish or use; undefined for one that is to stay. */
function remainReason(state: LabState | null): string | undefined {
  if (state === null) return "its state can't be read";
  if (state.boot !== bootId()) return "it is of an earlier boot";
  if (state.tied !== undefined && !isAlive(state.tied)) return `its process ${state.tied.pid} is gone`;
  if (state.phase === "ready" || isAlive(state.busy)) return undefined;
  return state.phase === "destroying" ? "its removal was not finished" : "its deploy was not finished";
}

/** Removes what crashes left behind on the host: only labs, and names, that this program marked as its own. */
export function collectOnHost(): Collected[] {
  const isEmpty = labNames().length === 0 && labNamesInNetns().length === 0;
  // Without a lab there may still be what an earlier boot left outside of our directories.
  if (isEmpty && !hasCapability("CAP_SYS_ADMIN")) return [];
  needCapabilities("removing remains of labs", "CAP_SYS_ADMIN", "CAP_NET_ADMIN");
  return withLabLock(() => {
    const found: Collected[] = [];
    const unreadable = new Set<string>();
    for (const lab of labNames()) {
      const state = readState(lab);
      const reason = state === undefined ? undefined : remainReason(state);
      if (reason === undefined) continue;
      if (state === null) unreadable.add(lab);
      removeLab(lab, state ?? undefined);
      found.push({ lab, reason });
    }
    for (const kind of everyKind()) {
      const remains = kind.collect?.(({ lab, boot }) => boot !== bootId() || unreadable.has(lab)) ?? [];
      for (const { lab } of remains) {
        if (!found.some((one) => one.lab === lab)) found.push({ lab, reason: "it is of an earlier boot" });
      }
    }
    for (const [path, target] of labNamesInNetns()) if (!existsSync(target)) unlinkSync(path);
    removeEmpty();
    return found;
  });
}
