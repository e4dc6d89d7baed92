// SPDX-License-Identifier: MIT
import type { MessagePort } from "node:worker_threads";
import type { FromWorker, ScriptFailure } from "./messages.js";
import { type Shared, WORD } from "./shared.js";

/** Batches that the controller has not taken yet, at most. */
const CREDIT = 32;
/** Lines, actions and errors that wait for the next batch, at most. */
const MOST = 500;
/** The same error is told once in this time, with how often it came. */
const SAME_MS = 1000;

/**
 * What a worker has to say, in batches. All of it is bounded: a controller that is busy gets fewer lines and a count of
 * those that are missing, never a queue that grows.
 */
export class Outbox {
  readonly #port: MessagePort;
  readonly #words: Int32Array;
  #messages: FromWorker[] = [];
  #dropped = 0;
  #sent = 0;
  readonly #failures = new Map<string, { failure: ScriptFailure; told: number; times: number }>();

  constructor(port: MessagePort, shared: Shared) {
    this.#port = port;
    this.#words = shared.words;
    this.#sent = Atomics.load(this.#words, WORD.taken);
  }

  /** Whether a batch may be sent now. */
  get open(): boolean {
    return ((this.#sent - Atomics.load(this.#words, WORD.taken)) | 0) < CREDIT;
  }

  get empty(): boolean {
    return this.#messages.length === 0 && this.#dropped === 0;
  }

  /** Whether something waits that is not to wait for more. */
  urgent = false;

  /** Something that must arrive, and at once. */
  add(message: FromWorker): void {
    this.#messages.push(message);
    this.urgent = true;
  }

  /** Something that may wait for more of its kind, or be dropped, and is counted then. */
  tell(message: FromWorker): void {
    if (this.#messages.length < MOST) this.#messages.push(message);
    else this.#dropped++;
  }

  failure(failure: ScriptFailure, now: number): void {
    const known = this.#failures.get(failure.message);
    if (known === undefined || now - known.told > SAME_MS) {
      if (this.#failures.size > 100) this.#failures.clear();
      const times = (known?.times ?? 0) + 1;
      this.#failures.set(failure.message, { failure, told: now, times: 0 });
      this.tell({ type: "failure", failure: { ...failure, times }, fatal: false });
    } else known.times++;
  }

  /** Sends what there is, where the controller keeps up. */
  flush(): void {
    if (this.empty || !this.open) return;
    if (this.#dropped > 0) this.#messages.push({ type: "dropped", lines: this.#dropped });
    this.#dropped = 0;
    const batch = this.#messages;
    this.#messages = [];
    this.urgent = false;
    this.#sent = (this.#sent + 1) | 0;
    this.#port.postMessage(batch);
  }

  /** Sends what there is, whatever the controller does: before the end. */
  finish(): void {
    const batch = this.#messages;
    this.#messages = [];
    this.#port.postMessage(batch);
  }
}
