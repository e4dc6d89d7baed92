// SPDX-License-Identifier: MIT
import type { Loop, LoopHandle } from "../../loop/index.js";

const EVERY_MS = 1000;

/** The dot of each second that tells that the loop turns. */
export class Tick {
  readonly #loop: Loop;
  readonly #dot: () => void;
  #timer: LoopHandle | undefined;

  constructor(loop: Loop, dot: () => void) {
    this.#loop = loop;
    this.#dot = dot;
  }

  get on(): boolean {
    return this.#timer !== undefined;
  }

  set on(on: boolean) {
    if (on === this.on) return;
    this.#timer?.close();
    this.#timer = on ? this.#loop.every(EVERY_MS, this.#dot) : undefined;
  }
}
