// SPDX-License-Identifier: MIT
import { Worker } from "node:worker_threads";
import { XdpctlError } from "../errors/index.js";
import type { FromWorker, ScriptFailure, ToWorker, WorkerStart } from "./messages.js";
import { RecordRing } from "./ring.js";
import { HOOK, type Shared, WORD } from "./shared.js";
import { stoppedText } from "./stopped.js";
import { workerPath } from "./worker-path.js";

/** The error behind a script's failure. */
export function failureError(failure: ScriptFailure): XdpctlError {
  const times = failure.times > 1 ? [`(${failure.times} times)`] : [];
  return new XdpctlError(failure.code, failure.message, { lines: [...failure.traceback, ...times] });
}

export interface ThreadOptions {
  readonly start: Omit<WorkerStart, "shared">;
  readonly shared: Shared;
  message(message: FromWorker): void;
  /** The worker is gone; with the reason where it was not asked to go. Called once. */
  ended(reason: XdpctlError | undefined): void;
}

/** How many messages may wait for the worker. */
const MOST_WAITING = 1000;

/** One life of a policy's worker: starts it, hears it, watches it, ends it. */
export class PolicyThread {
  readonly #options: ThreadOptions;
  readonly #worker: Worker;
  readonly #ring: RecordRing;
  readonly #words: Int32Array;
  readonly #watch: NodeJS.Timeout;
  readonly #gone: Promise<void>;
  #beat = -1;
  #since = performance.now();
  #reason: XdpctlError | undefined;
  #ending = false;
  #interruptedAt: number | undefined;

  constructor(options: ThreadOptions) {
    this.#options = options;
    const { start, shared } = options;
    const { words } = shared;
    this.#words = words;
    for (const word of [WORD.sleep, WORD.hook, WORD.line, WORD.interrupt]) words[word] = 0;
    // What was sent to an earlier worker is lost with it, and what that one sent is not waited for.
    words[WORD.received] = words[WORD.sent] as number;
    this.#ring = new RecordRing(shared);
    const { memoryMiB, hardMs } = start.limits;
    this.#worker = new Worker(workerPath(), {
      workerData: { ...start, shared: shared.buffer } satisfies WorkerStart,
      env: {},
      execArgv: [],
      name: `policy ${start.name}`,
      // The guard measures what the script holds; this is for what it can't see coming.
      resourceLimits: { maxOldGenerationSizeMb: memoryMiB + 96, maxYoungGenerationSizeMb: 8 },
    });
    this.#worker.on("message", (batch: FromWorker[]) => {
      Atomics.add(words, WORD.taken, 1);
      for (const message of batch) options.message(message);
    });
    this.#worker.on("error", (error: NodeJS.ErrnoException) => this.#failed(error));
    this.#gone = new Promise((resolve) => {
      this.#worker.on("exit", () => {
        clearInterval(this.#watch);
        options.ended(this.#ending ? this.#reason : (this.#reason ?? this.#unexpected()));
        resolve();
      });
    });
    this.#watch = setInterval(() => this.#look(), Math.max(20, hardMs / 5));
    this.#watch.unref();
  }

  #unexpected(): XdpctlError {
    return new XdpctlError("XDPCTL_E_INTERNAL", `the worker of the policy ${this.#options.start.name} ended`);
  }

  get #file(): string {
    return this.#options.start.file;
  }

  #failed(error: NodeJS.ErrnoException): void {
    if (error.code === "ERR_WORKER_OUT_OF_MEMORY") {
      const { memoryMiB } = this.#options.start.limits;
      this.#reason ??= this.#stopped("XDPCTL_E_LUA_MEMORY", `held more than ${memoryMiB} MiB`);
    } else {
      const message = `the worker of the policy ${this.#options.start.name} failed: ${error.message}`;
      this.#reason ??= new XdpctlError("XDPCTL_E_INTERNAL", message, { cause: error });
    }
  }

  #stopped(code: "XDPCTL_E_LUA_MEMORY" | "XDPCTL_E_LUA_TIMEOUT", what: string): XdpctlError {
    const hook = Atomics.load(this.#words, WORD.hook) || HOOK.chunk;
    return new XdpctlError(code, stoppedText(this.#file, this.#words[WORD.line] as number, hook, what));
  }

  /** The watchdog: a call that makes no progress although its own limits ended it long ago is stuck in a function of C. */
  #look(): void {
    const now = performance.now();
    const hook = Atomics.load(this.#words, WORD.hook);
    const beat = this.#words[WORD.beat] as number;
    if (hook === 0 || beat !== this.#beat) {
      this.#beat = beat;
      this.#since = now;
      if (hook === 0) this.#interruptedAt = undefined;
      return;
    }
    const { kind, limits } = this.#options.start;
    if (kind === "interactive" && hook === HOOK.chunk) {
      if (this.#interruptedAt !== undefined && now - this.#interruptedAt > limits.hardMs) this.#kill("did not stop");
      return;
    }
    const allowed = (hook === HOOK.chunk ? limits.loadMs : limits.hookMs) + limits.hardMs;
    if (now - this.#since > allowed) this.#kill(`ran longer than ${Math.round(now - this.#since)} ms`);
  }

  #kill(what: string): void {
    if (this.#reason !== undefined) return;
    this.#reason = this.#stopped("XDPCTL_E_LUA_TIMEOUT", what);
    void this.#worker.terminate();
  }

  push(src: Uint8Array, offset: number, count: number): number {
    return this.#ring.push(src, offset, count);
  }

  /** Records come in a moment: a worker that sleeps wakes up meanwhile. */
  expect(): void {
    this.#ring.wake();
  }

  /** Frames wait. */
  wake(): void {
    this.#ring.wake();
  }

  /** Sends a message; false where the worker has `most` already. */
  send(message: ToWorker, most = MOST_WAITING): boolean {
    const words = this.#words;
    if (((Atomics.load(words, WORD.sent) - Atomics.load(words, WORD.received)) | 0) >= most) return false;
    this.#worker.postMessage(message);
    Atomics.add(words, WORD.sent, 1);
    this.#ring.wake();
    return true;
  }

  /** Asks what runs in the REPL's sandbox to stop. */
  interrupt(): void {
    if (Atomics.load(this.#words, WORD.hook) === 0) return;
    this.#interruptedAt = performance.now();
    Atomics.store(this.#words, WORD.interrupt, 1);
  }

  /** Ends the worker, whatever it does. */
  async terminate(): Promise<void> {
    this.#ending = true;
    await this.#worker.terminate();
    await this.#gone;
  }
}
