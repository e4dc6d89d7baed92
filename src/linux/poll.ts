// SPDX-License-Identifier: MIT
import { errno, lastErrno } from "./errno.js";
import { addressOf, libc, type Pointer } from "./ffi.js";

export const POLLIN = 0x1;
export const POLLOUT = 0x4;
export const POLLERR = 0x8;

/** poll(2) on a few descriptors, again and again, without an allocation. It blocks the calling thread. */
export class Poll {
  /** struct pollfd: the descriptor, then 16 bits of wanted and 16 of returned events. */
  readonly #entries: Int32Array;
  // Bound here, and given an address instead of an array: a call takes half the time of one by `lazy`.
  readonly #poll = libc.func("int poll(void *, unsigned long, int)") as (
    entries: Pointer,
    count: number,
    timeout: number,
  ) => number;
  readonly #address: Pointer;
  readonly #count: number;

  constructor(fds: readonly number[]) {
    this.#entries = new Int32Array(2 * fds.length);
    this.#address = addressOf(this.#entries);
    this.#count = fds.length;
    for (const [i, fd] of fds.entries()) this.#entries[2 * i] = fd;
  }

  /** What to wait for on the descriptor at `index`. */
  want(index: number, events: number): void {
    this.#entries[2 * index + 1] = events;
  }

  /** Waits `timeout` ms at the most; a signal ends it early. Returns how many are ready, or the negative errno. */
  wait(timeout: number): number {
    const n = this.#poll(this.#address, this.#count, timeout);
    if (n >= 0) return n;
    const number = lastErrno();
    return number === errno.EINTR ? 0 : -number;
  }

  /** What the last `wait` found on the descriptor at `index`. */
  ready(index: number): number {
    return (this.#entries[2 * index + 1] as number) >>> 16;
  }
}
