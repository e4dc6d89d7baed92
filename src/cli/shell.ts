// SPDX-License-Identifier: MIT
import type { Loop, Output } from "../loop/index.js";
import type { Backend, RpcClient } from "../rpc/index.js";
import { ConsoleTerminal } from "./console.js";
import type { Context, Live } from "./context.js";
import { liveOn } from "./live.js";
import { STANDARD } from "./standard.js";

/** Milliseconds: the longest that a timer can wait. */
const FOREVER = 2 ** 31 - 1;

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
