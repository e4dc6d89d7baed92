// SPDX-License-Identifier: MIT
import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeRuntimeDir, processStart, runtimeDir, tidyRuntimeDir } from "../linux/index.js";

/** Where what belongs to running guests is, for this user. */
export function guestsDir(): string {
  return join(runtimeDir(), "vm");
}

/** The directory of one guest: gone when it is disposed of, or with the next guest when this process was killed. */
export class RunDir implements Disposable {
  readonly path: string;

  constructor() {
    const parent = guestsDir();
    removeDeadGuests();
    this.path = join(parent, `${process.pid}-${randomBytes(3).toString("hex")}`);
    makeRuntimeDir(this.path);
    writeFileSync(join(this.path, "owner"), `${process.pid} ${processStart(process.pid)}\n`);
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
    tidyRuntimeDir(guestsDir());
  }
}

/** Removes directories of guests whose process is gone, and the guests with it. Returns how many. */
export function removeDeadGuests(): number {
  const parent = guestsDir();
  let names: string[];
  try {
    names = readdirSync(parent);
  } catch {
    return 0;
  }
  let removed = 0;
  for (const name of names) {
    try {
      const [pid = "", start] = readFileSync(join(parent, name, "owner"), "utf8")
        .trim()
        .split(" ");
      if (processStart(Number(pid)) === start) continue;
    } catch {
      // One that is being made has no owner yet: its name has.
      if (processStart(Number(name.split("-")[0])) !== undefined) continue;
    }
    rmSync(join(parent, name), { recursive: true, force: true });
    removed++;
  }
  tidyRuntimeDir(parent);
  return removed;
}
