// SPDX-License-Identifier: MIT
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { createInterface, type Interface } from "node:readline";
import type { Readable, Writable } from "node:stream";

/** A helper process that answers each line on its standard input with one on its standard output. */
export class LineProcess {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines: AsyncIterator<string>;
  readonly #interface: Interface;

  constructor(argv: readonly [string, ...string[]]) {
    const [command, ...args] = argv;
    this.#child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] });
    this.#interface = createInterface({ input: this.#child.stdout });
    this.#lines = this.#interface[Symbol.asyncIterator]();
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  send(line: string): void {
    this.#child.stdin.write(`${line}\n`);
  }

  /** The next line that it prints; throws when it ended. */
  async receive(): Promise<string> {
    const next = await this.#lines.next();
    if (next.done === true) throw new Error(`${this.#child.spawnargs.join(" ")} ended (${this.#child.exitCode})`);
    return next.value;
  }

  async ask(line: string): Promise<string> {
    this.send(line);
    return this.receive();
  }

  /** Ends it by end of input, and waits. */
  async close(): Promise<void> {
    const gone = new Promise((resolve) => this.#child.once("close", resolve));
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.stdin.end();
    await gone;
    this.#interface.close();
  }
}
