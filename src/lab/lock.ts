// SPDX-License-Identifier: MIT
import { closeSync, fstatSync, mkdirSync, openSync, statSync } from "node:fs";
import { XdpctlError } from "../errors/index.js";
import { tryLock } from "../linux/index.js";
import { RUN_DIR } from "./paths.js";

const DEADLINE_MS = 20_000;
const PAUSE_MS = 3;
const sleeper = new Int32Array(new SharedArrayBuffer(4));

let held = false;

/** Runs `body` while no other process makes or removes labs. Not for waiting in: nothing asynchronous may be inside. */
export function withLabLock<T>(body: () => T): T {
  if (held) return body();
  const deadline = Date.now() + DEADLINE_MS;
  for (;;) {
    mkdirSync(RUN_DIR, { recursive: true });
    const fd = openSync(RUN_DIR, "r");
    try {
      // The directory goes with the last lab: a lock on one that is gone protects nothing.
      if (tryLock(fd) && sameFile(fd)) {
        held = true;
        try {
          return body();
        } finally {
          held = false;
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

function sameFile(fd: number): boolean {
  const now = statSync(RUN_DIR, { throwIfNoEntry: false });
  return now !== undefined && now.ino === fstatSync(fd).ino;
}
