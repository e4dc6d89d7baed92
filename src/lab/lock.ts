// SPDX-License-Identifier: MIT
import { closeSync, fstatSync, mkdirSync, openSync, statSync } from "node:fs";
import { XdpctlError } from "../errors/index.js";
import { tryLock } from "../linux/index.js";
import { RUN_DIR } from "./paths.js";

/** Twenty deploys at once on two CPUs have it for half a minute in all. */
const DEADLINE_MS = 60_000;
const PAUSE_MS = 3;
/** Who has waited for long makes it no longer by looking often. */
const LONG_PAUSE_MS = 20;
const sleeper = new Int32Array(new SharedArrayBuffer(4));

const held = new Set<string>();

/**
 * Runs `body` while no other process makes or removes labs. Not for waiting in: nothing asynchronous may be inside. An
 * ordinary user's own labs, which are in guests, have a directory and a lock of their own.
 */
export function withLabLock<T>(body: () => T, dir = RUN_DIR): T {
  if (held.has(dir)) return body();
  const started = Date.now();
  for (;;) {
    mkdirSync(dir, { recursive: true });
    const fd = openSync(dir, "r");
    try {
      // The directory goes with the last lab: a lock on one that is gone protects nothing.
      if (tryLock(fd) && sameFile(fd, dir)) {
        held.add(dir);
        try {
          return body();
        } finally {
          held.delete(dir);
        }
      }
    } finally {
      closeSync(fd);
    }
    if (Date.now() > started + DEADLINE_MS) {
      throw new XdpctlError(
        "XDPCTL_E_TIMEOUT",
        `other processes have been making or removing labs for ${DEADLINE_MS / 1000} s`,
      );
    }
    Atomics.wait(sleeper, 0, 0, Date.now() > started + 1000 ? LONG_PAUSE_MS : PAUSE_MS);
  }
}

function sameFile(fd: number, dir: string): boolean {
  const now = statSync(dir, { throwIfNoEntry: false });
  return now !== undefined && now.ino === fstatSync(fd).ino;
}
