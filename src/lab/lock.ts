// SPDX-License-Identifier: MIT
import { closeSync, fstatSync, mkdirSync, openSync, statSync } from "node:fs";
import { XdpctlError } from "../errors/index.js";
import { tryLock } from "../linux/index.js";
import { RUN_DIR } from "./paths.js";

const DEADLINE_MS = 20_000;
const PAUSE_MS = 3;
const sleeper = new Int32Array(new SharedArrayBuffer(4));

const held = new Set<string>();

/**
 * Runs `body` while no other process makes or removes labs. Not for waiting in: nothing asynchronous may be inside. An
 * ordinary user's own labs, which are in guests, have a directory and a lock of their own.
 */
export function withLabLock<T>(body: () => T, dir = RUN_DIR): T {
  if (held.has(dir)) return body();
  const deadline = Date.now() + DEADLINE_MS;
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
    if (Date.now() > deadline) {
      throw new XdpctlError(
        "XDPCTL_E_TIMEOUT",
        `another process has been making or removing labs for ${DEADLINE_MS / 1000} s`,
      );
    }
    Atomics.wait(sleeper, 0, 0, PAUSE_MS);
  }
}

function sameFile(fd: number, dir: string): boolean {
  const now = statSync(dir, { throwIfNoEntry: false });
  return now !== undefined && now.ino === fstatSync(fd).ino;
}
