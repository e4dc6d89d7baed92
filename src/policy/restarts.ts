// SPDX-License-Identifier: MIT

/** Restarts within a minute before a policy counts as failed. */
const MOST = 5;
const WINDOW_MS = 60_000;
const FIRST_MS = 100;
const LONGEST_MS = 5000;
/** A second death for memory so soon after the first: the state itself may be too large. */
const SOON_MS = 10_000;

/** Decides when a policy whose worker was ended is started again. */
export class Restarts {
  count = 0;
  /** Whether the script has run at all: a first load that fails is not tried again. */
  running = false;
  #times: number[] = [];
  #memoryAt = Number.NEGATIVE_INFINITY;

  /** How long to wait, or undefined: never. */
  next(forMemory: boolean, now: number): { delayMs: number | undefined; dropState: boolean } {
    this.#times = this.#times.filter((time) => now - time < WINDOW_MS);
    const dropState = forMemory && now - this.#memoryAt < SOON_MS;
    if (forMemory) this.#memoryAt = now;
    if (this.#times.length >= MOST) return { delayMs: undefined, dropState: false };
    const delayMs = Math.min(FIRST_MS * 2 ** this.#times.length, LONGEST_MS);
    this.#times.push(now);
    this.count++;
    return { delayMs, dropState };
  }

  reset(): void {
    this.#times = [];
  }
}
