// SPDX-License-Identifier: MIT
import { EVENT_SIZE } from "../events/index.js";
import { COUNT, type Shared, WORD } from "./shared.js";

const RECORD_WORDS = EVENT_SIZE / 4;

/**
 * The controller's end of the ring: raw records go in, what finds no room is counted. There is one producer (this
 * thread) and one consumer (the worker); nothing here waits.
 */
export class RecordRing {
  readonly #shared: Shared;
  readonly #words: Int32Array;
  readonly #mask: number;
  #head: number;
  /** The 32-bit view of the memory that records come from: it is the same from call to call. */
  #source: Uint32Array | undefined;

  constructor(shared: Shared) {
    this.#shared = shared;
    this.#words = shared.words;
    this.#mask = shared.capacity - 1;
    this.#head = Atomics.load(shared.words, WORD.head);
  }

  /** Copies `count` records of 64 bytes that lie one after the other from `offset` on; returns how many found room. */
  push(src: Uint8Array, offset: number, count: number): number {
    const words = this.#words;
    let head = this.#head;
    const room = this.#shared.capacity - ((head - Atomics.load(words, WORD.tail)) | 0);
    const n = Math.min(count, room);
    if (n < count) this.#shared.counts[COUNT.lost] = (this.#shared.counts[COUNT.lost] as number) + count - n;
    if (n === 0) return 0;
    const from = src.byteOffset + offset;
    if ((from & 3) === 0 && n <= 8) {
      let source = this.#source;
      if (source?.buffer !== src.buffer) {
        source = new Uint32Array(src.buffer, 0, src.buffer.byteLength >>> 2);
        this.#source = source;
      }
      const to = this.#shared.recordWords;
      let at = from >>> 2;
      for (let i = 0; i < n; i++) {
        let slot = (head & this.#mask) * RECORD_WORDS;
        for (const end = at + RECORD_WORDS; at < end; ) to[slot++] = source[at++] as number;
        head = (head + 1) | 0;
      }
    } else {
      for (let done = 0; done < n; ) {
        const slot = head & this.#mask;
        const run = Math.min(n - done, this.#shared.capacity - slot);
        const start = offset + done * EVENT_SIZE;
        this.#shared.records.set(src.subarray(start, start + run * EVENT_SIZE), slot * EVENT_SIZE);
        head = (head + run) | 0;
        done += run;
      }
    }
    this.#head = head;
    Atomics.store(words, WORD.head, head);
    this.wake();
    return n;
  }

  /** Wakes the worker where it sleeps; the system call is made only then. */
  wake(): void {
    const words = this.#words;
    if (Atomics.load(words, WORD.sleep) === 0) return;
    Atomics.store(words, WORD.sleep, 0);
    Atomics.notify(words, WORD.sleep, 1);
  }
}
