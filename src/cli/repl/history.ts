// SPDX-License-Identifier: MIT
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";

const KEPT = 1000;

/** Where the lines of the REPL are kept (XDG base directories: state that is worth keeping, and no more). */
export function historyPath(env: NodeJS.ProcessEnv = process.env): string {
  const state = env.XDG_STATE_HOME?.startsWith("/") ? env.XDG_STATE_HOME : join(homedir(), ".local", "state");
  return join(state, "xdpctl", "history");
}

/** The REPL's history in a file; where it can't be written, it lives as long as the REPL. */
export class History {
  readonly #path: string;

  constructor(path: string = historyPath()) {
    this.#path = path;
  }

  /** The newest first, as readline wants them. */
  read(): string[] {
    let lines: string[];
    try {
      lines = readFileSync(this.#path, "utf8")
        .split("\n")
        .filter((line) => line !== "");
    } catch {
      return [];
    }
    if (lines.length > 2 * KEPT) {
      lines = lines.slice(-KEPT);
      this.#try(() => writeFileSync(this.#path, `${lines.join("\n")}\n`, { mode: 0o600 }));
    }
    return lines.slice(-KEPT).reverse();
  }

  add(line: string): void {
    if (line.trim() === "" || line.startsWith(" ")) return;
    this.#try(() => {
      mkdirSync(dirname(this.#path), { recursive: true, mode: 0o700 });
      appendFileSync(this.#path, `${line}\n`, { mode: 0o600 });
    });
  }

  #try(write: () => void): void {
    try {
      write();
    } catch {
      // A read-only or missing home is no reason to disturb anyone.
    }
  }
}
