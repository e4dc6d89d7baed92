// SPDX-License-Identifier: MIT
import type { XdpctlEvent } from "../events/index.js";
import { ENOUGH, type Live } from "./context.js";

/** Events that may wait to be formatted, and how many are in one turn. */
const WAITING = 16_384;
const PER_TURN = 1024;

/**
 * Between the event path and the screen: an event only enters a bounded queue there; it becomes text in turns of its
 * own, so that timers and input keep theirs. What does not fit is counted and said.
 */
export class EventQueue {
  #waiting: (XdpctlEvent | string)[] = [];
  #dropped = 0;
  #scheduled: NodeJS.Immediate | undefined;
  readonly #live: Live;
  readonly #format: (event: XdpctlEvent) => string;
  readonly #idle: (() => void)[] = [];

  constructor(live: Live, format: (event: XdpctlEvent) => string) {
    this.#live = live;
    this.#format = format;
  }

  /** An event, or a line that is text already. */
  push(event: XdpctlEvent | string): void {
    if (this.#waiting.length >= WAITING) {
      this.#dropped++;
      return;
    }
    this.#waiting.push(event);
    this.#scheduled ??= setImmediate(() => this.#turn());
  }

  /** Resolves when all that came is written. */
  async settled(): Promise<void> {
    if (this.#scheduled !== undefined) await new Promise<void>((resolve) => this.#idle.push(resolve));
    await this.#live.drained();
  }

  close(): void {
    if (this.#scheduled !== undefined) clearImmediate(this.#scheduled);
    this.#scheduled = undefined;
    this.#waiting = [];
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  #turn(): void {
    const batch = this.#waiting.slice(0, PER_TURN);
    this.#waiting = this.#waiting.slice(PER_TURN);
    let text = "";
    for (const event of batch) text += `${typeof event === "string" ? event : this.#format(event)}\n`;
    if (this.#dropped > 0 && this.#waiting.length === 0) {
      const time = new Date().toISOString();
      text += `${this.#format({ type: "lost", time, where: "reader", name: "terminal", count: this.#dropped })}\n`;
      this.#dropped = 0;
    }
    this.#live.write(text);
    if (this.#live.queued > ENOUGH) void this.#live.drained().then(() => this.#next());
    else this.#next();
  }

  #next(): void {
    if (this.#scheduled === undefined) return;
    this.#scheduled = this.#waiting.length > 0 || this.#dropped > 0 ? setImmediate(() => this.#turn()) : undefined;
    if (this.#scheduled === undefined) for (const resolve of this.#idle.splice(0)) resolve();
  }
}
