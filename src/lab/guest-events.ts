// SPDX-License-Identifier: MIT
import type { ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import { ownProgram } from "./in-guest/program.js";
import { kindOf, type Place } from "./kinds/index.js";
import type { MachineLinkEvent } from "./link-events.js";

/** What the watcher in a guest says first: from here on it misses nothing. */
export const WATCHING = "watching";

/** The links of a guest, watched in there by this very program, whose words come line by line. */
export class GuestEvents implements Disposable {
  readonly #child: ChildProcess;
  /** When it watches, or never will. */
  readonly ready: Promise<void>;
  #closed = false;

  /** `ended` is called when the watcher is gone without having been closed, with what it said. */
  constructor(at: Place, handler: (event: MachineLinkEvent) => void, ended: (why: string) => void) {
    const child = kindOf(at.node).spawn(at, ownProgram("lab", "watch-links"), { stdio: "pipe" });
    this.#child = child;
    let why = "";
    child.stdin?.on("error", () => undefined);
    child.stderr?.on("data", (bytes: Buffer) => {
      why = (why + bytes.toString()).slice(-1000);
    });
    this.ready = new Promise((resolve) => {
      if (child.stdout !== null) {
        createInterface({ input: child.stdout }).on("line", (line) => {
          const event = parsed(line);
          if (event === WATCHING) resolve();
          else if (event !== undefined && !this.#closed) handler(event);
        });
      }
      const end = (): void => {
        resolve();
        if (this.#closed) return;
        this.#closed = true;
        ended(why.trim().split("\n")[0] ?? "");
      };
      child.once("error", end);
      child.once("close", end);
    });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    // It ends with its input, however this process ends.
    this.#child.stdin?.destroy();
    this.#child.kill("SIGTERM");
    this.#child.unref();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function parsed(line: string): MachineLinkEvent | typeof WATCHING | undefined {
  if (line === WATCHING) return WATCHING;
  try {
    return JSON.parse(line) as MachineLinkEvent;
  } catch {
    return undefined;
  }
}
