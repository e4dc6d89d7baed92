// SPDX-License-Identifier: MIT
import { type FSWatcher, watch } from "node:fs";
import type { Lab } from "./lab.js";
import { LABS_DIR, labDir } from "./paths.js";
import { type LabState, readState } from "./state.js";

/** What `watchLab` gives. */
export interface LabWatch extends Disposable {
  close(): void;
}

/**
 * Calls `changed` with a lab's state whenever it is another one, and with undefined once the lab is on its way out: who
 * holds something in its machines is to let go, because namespaces stay as long as anybody has a socket in them.
 */
export function watchLab(lab: Lab, changed: (state: LabState | undefined) => void): LabWatch {
  const watchers: FSWatcher[] = [];
  let last = JSON.stringify(lab.state);
  const close = (): void => {
    for (const one of watchers.splice(0)) one.close();
  };
  const look = (): void => {
    if (watchers.length === 0) return;
    const state = readState(lab.name);
    const gone = state === undefined || state === null || state.id !== lab.state.id || state.phase === "destroying";
    if (gone) {
      close();
      changed(undefined);
      return;
    }
    const text = JSON.stringify(state);
    if (text === last) return;
    last = text;
    changed(state);
  };
  // The lab's own directory is a file system of its own, of which the one around it hears nothing.
  for (const directory of [LABS_DIR, labDir(lab.name)]) {
    watchers.push(watch(directory, look).on("error", look));
  }
  // What happened before the watchers were there.
  setImmediate(look);
  return { close, [Symbol.dispose]: close };
}
