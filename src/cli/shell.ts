// SPDX-License-Identifier: MIT
import { writeSync } from "node:fs";
import { isatty } from "node:tty";
import type { Loop, Output } from "../loop/index.js";
import type { Backend, RpcClient } from "../rpc/index.js";
import { ConsoleTerminal, ReaderGone, type Sink } from "./console.js";
import type { Context, Live } from "./context.js";
import { liveOn } from "./live.js";

/** Writes all of `text`; a command of its own process may wait for its reader. */
function writeAll(fd: 1 | 2, text: string): void {
  let bytes = Buffer.from(text);
  while (bytes.length > 0) {
    try {
      bytes = bytes.subarray(writeSync(fd, bytes));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "EPIPE" && fd === 1) throw new ReaderGone();
      if (code === "EPIPE") return;
      if (code !== "EAGAIN") throw error;
      // Somebody made the shared descriptor non-blocking: Node's own streams know how to wait for it.
      (fd === 1 ? process.stdout : process.stderr).write(bytes);
      return;
    }
  }
}

/** Milliseconds: the longest that a timer can wait. */
const FOREVER = 2 ** 31 - 1;

const STANDARD: Sink = {
  out: (text) => writeAll(1, text),
  err: (text) => writeAll(2, text),
  columns: () => (isatty(2) ? process.stderr.columns : undefined),
  get interactive() {
    return isatty(1);
  },
};

/** A command line in a process of its own. */
export class ShellContext implements Context {
  readonly kind = "shell";
  readonly terminal = new ConsoleTerminal(STANDARD);
  #abort: AbortController | undefined;
  #loop: Loop | undefined;
  #client: RpcClient | undefined;
  #backend: Promise<Backend> | undefined;
  #output: Output | undefined;
  #lastError: string | undefined;

  /** Asking for it takes the signals over: only commands that go on do. */
  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      const abort = new AbortController();
      this.#abort = abort;
      for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, () => abort.abort(name));
    }
    return this.#abort.signal;
  }

  backend(): Promise<Backend> {
    this.#backend ??= this.#connect();
    return this.#backend;
  }

  async #connect(): Promise<Backend> {
    const { connect } = await import("../rpc/index.js");
    this.#client = await connect();
    if (this.#client !== undefined) return this.#client;
    const { directBackend } = await import("../control/index.js");
    return directBackend();
  }

  async loop(): Promise<Loop> {
    const { Loop } = await import("../loop/index.js");
    // A handler that fails is told of, once, and does not take a controller with it.
    this.#loop ??= new Loop({ onError: (error) => this.#told(error) });
    return this.#loop;
  }

  #told(error: unknown): void {
    const text = error instanceof Error ? error.message : String(error);
    if (text === this.#lastError) return;
    this.#lastError = text;
    this.terminal.failure(error);
  }

  async live(): Promise<Live> {
    const { Output } = await import("../loop/index.js");
    const output = new Output(await this.loop(), 1);
    this.#output = output;
    // A command that goes on ends by a signal, too: from here on they are heard.
    void this.signal;
    output.onClosed = () => this.#abort?.abort("EPIPE");
    return liveOn(output, this.terminal.jsonMode, {
      write: (text) => void output.write(text),
      drained: () => output.drained(FOREVER),
      close: () => output.close(),
    });
  }

  async close(): Promise<void> {
    this.#output?.close();
    this.#client?.close();
    this.#loop?.close();
  }
}
