// SPDX-License-Identifier: MIT
import { addressOf, libc, type Pointer } from "./ffi.js";

/** nanosleep(2) of always the same length, without an allocation. It blocks the calling thread; a signal ends it early. */
export class Nap {
  /** struct timespec */
  readonly #time: BigInt64Array;
  readonly #address: Pointer;
  readonly #nanosleep = libc.func("int nanosleep(void *, void *)") as (time: Pointer, left: null) => number;

  /** The kernel adds its timer slack, 50 µs unless the thread's was changed. */
  constructor(microseconds: number) {
    this.#time = BigInt64Array.of(0n, BigInt(microseconds) * 1000n);
    this.#address = addressOf(this.#time);
  }

  take(): void {
    this.#nanosleep(this.#address, null);
  }
}
