// SPDX-License-Identifier: MIT
import { EVENT_SIZE } from "../events/index.js";

/** Slots of the 32-bit words that the controller and a policy's worker share. */
export const WORD = {
  /** Records written, mod 2^32: the controller's. */
  head: 0,
  /** Records taken: the worker's. */
  tail: 1,
  /** 1 while the worker sleeps in Atomics.wait. */
  sleep: 2,
  /** Messages that were sent to the worker. */
  sent: 3,
  /** Batches of messages that the controller has taken from the worker. */
  taken: 4,
  /** What runs now: an index of HOOK_NAMES; 0 when nothing does. */
  hook: 5,
  /** The line of the script's last call, for when the worker can't say it any more. */
  line: 6,
  /** Changes with every call of a hook: one that stands still for long is stuck. */
  beat: 7,
  /** 1 asks a chunk of the REPL to stop. */
  interrupt: 8,
  /** Messages that the worker has read. */
  received: 9,
} as const;

/** Slots of the 64-bit floats beside them. */
export const COUNT = { calls: 0, blocked: 1, lost: 2 } as const;

/** How many durations are kept for p50 and p99; a power of two. */
export const DURATIONS = 1024;
const WORDS = 16;
const COUNTS = 8;
const HEADER = WORDS * 4 + COUNTS * 8 + DURATIONS * 4;

/** What may run in a worker. The first five are the types of packet events, by number. */
export const HOOK_NAMES = [
  "",
  "flow",
  "deny",
  "rate",
  "malformed",
  "link",
  "xdp",
  "exit",
  "every",
  "load",
  "chunk",
  "genl",
  "call",
  "packet",
] as const;
export const HOOK = { link: 5, xdp: 6, exit: 7, every: 8, load: 9, chunk: 10, genl: 11, call: 12, packet: 13 } as const;

/** The memory that a policy shares with its worker: words, counters, durations in microseconds, the ring of records. */
export class Shared {
  readonly buffer: SharedArrayBuffer;
  readonly words: Int32Array;
  readonly counts: Float64Array;
  readonly durations: Float32Array;
  /** The ring, as bytes and as 32-bit words. */
  readonly records: Uint8Array;
  readonly recordWords: Uint32Array;
  /** Records that the ring holds: a power of two. */
  readonly capacity: number;

  constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer;
    this.words = new Int32Array(buffer, 0, WORDS);
    this.counts = new Float64Array(buffer, WORDS * 4, COUNTS);
    this.durations = new Float32Array(buffer, WORDS * 4 + COUNTS * 8, DURATIONS);
    this.records = new Uint8Array(buffer, HEADER);
    this.recordWords = new Uint32Array(buffer, HEADER);
    this.capacity = this.records.length / EVENT_SIZE;
  }

  /** Memory for at least `records` records. */
  static allocate(records: number): Shared {
    const capacity = 2 ** Math.ceil(Math.log2(Math.max(records, 16)));
    return new Shared(new SharedArrayBuffer(HEADER + capacity * EVENT_SIZE));
  }
}
