// SPDX-License-Identifier: MIT
import { taiNow } from "../linux/index.js";
import { TX_METADATA_BYTES } from "./abi.js";
import type { CopyMode } from "./bind.js";
import type { TxMetadata } from "./metadata.js";
import type { Ring } from "./ring.js";

/** When a packet was sent: one object for all, valid during the call. */
export interface TxTimestamp {
  /** What `requestTimestamp` was given. */
  readonly tag: number;
  /**
   * Milliseconds on the clock of `performance.now()`, exact to a microsecond or so. NaN with zero copy, where the time is of the
   * device's own clock.
   */
  readonly time: number;
  /**
   * As the kernel wrote it. Copy mode: CLOCK_TAI, when the kernel let go of the packet; zero copy: the device's clock. It
   * allocates: not for hot paths.
   */
  readonly nanoseconds: bigint;
}

export type TimestampHandler = (timestamp: TxTimestamp) => void;

const WORDS = 3;
const TWO_32 = 2 ** 32;
/** Clocks are set now and then: theirs and ours are compared again. */
const COMPARE_MS = 1000;
const TRIES = 5;

class Timestamp implements TxTimestamp {
  tag = 0;
  low = 0;
  high = 0;
  time = 0;

  get nanoseconds(): bigint {
    return (BigInt(this.high) << 32n) | BigInt(this.low);
  }
}

/** The times at which packets of one socket were sent: noted as the frames come back, and told when nothing else is under way. */
export class TxTimestamps {
  /** Packets whose times are awaited, or not told yet. */
  pending = 0;
  readonly #metadata: TxMetadata;
  readonly #handler: TimestampHandler;
  readonly #device: boolean;
  readonly #timestamp = new Timestamp();
  /** Tag, and the two halves of the time, of each that is not told yet. */
  readonly #noted: Uint32Array;
  #first = 0;
  #count = 0;
  #telling = false;
  /** The same moment on both clocks. */
  #low = 0;
  #high = 0;
  #ours = Number.NEGATIVE_INFINITY;

  constructor(metadata: TxMetadata, copy: CopyMode, handler: TimestampHandler) {
    this.#metadata = metadata;
    this.#device = copy === "zerocopy";
    this.#handler = handler;
    this.#noted = new Uint32Array(metadata.awaited.length * WORDS);
  }

  /** Reads the times of the first `n` descriptors of the completion ring, before their frames are used again. */
  collect(completion: Ring, n: number): void {
    if (this.pending === 0) return;
    const { awaited, tags, memory } = this.#metadata;
    const { view, frameSize, length } = memory;
    const { slots, mask } = completion;
    const last = (completion.consumer + n) | 0;
    for (let at = completion.consumer; at !== last; at = (at + 1) | 0) {
      const address = slots[(at & mask) << 1] as number;
      if (address >= length) continue;
      const frame = Math.floor(address / frameSize);
      if (awaited[frame] === 0) continue;
      awaited[frame] = 0;
      const time = address - TX_METADATA_BYTES + 8;
      if (time < 0) continue;
      this.#note(tags[frame] as number, view.getUint32(time, true), view.getUint32(time + 4, true));
    }
  }

  #note(tag: number, low: number, high: number): void {
    const most = this.#noted.length / WORDS;
    // Nobody has asked for them in all this time: the oldest goes.
    if (this.#count === most) {
      this.#first = (this.#first + 1) % most;
      this.#count--;
      this.pending--;
    }
    const slot = ((this.#first + this.#count) % most) * WORDS;
    this.#noted[slot] = tag;
    this.#noted[slot + 1] = low;
    this.#noted[slot + 2] = high;
    this.#count++;
  }

  /** Tells all that were noted. */
  deliver(): void {
    if (this.#count === 0 || this.#telling) return;
    this.#telling = true;
    try {
      if (!this.#device) this.#compare();
      const timestamp = this.#timestamp;
      while (this.#count > 0) {
        const slot = this.#first * WORDS;
        const low = this.#noted[slot + 1] as number;
        const high = this.#noted[slot + 2] as number;
        this.#first = (this.#first + 1) % (this.#noted.length / WORDS);
        this.#count--;
        this.pending--;
        timestamp.tag = this.#noted[slot] as number;
        timestamp.low = low;
        timestamp.high = high;
        // The difference is exact where the whole would not be.
        const since = (high - this.#high) * TWO_32 + (low - this.#low);
        timestamp.time = this.#device ? Number.NaN : this.#ours + since / 1e6;
        this.#handler(timestamp);
      }
    } finally {
      this.#telling = false;
    }
  }

  #compare(): void {
    if (performance.now() - this.#ours < COMPARE_MS) return;
    let least = Number.POSITIVE_INFINITY;
    for (let i = 0; i < TRIES; i++) {
      const before = performance.now();
      const theirs = taiNow();
      const took = performance.now() - before;
      if (took >= least) continue;
      least = took;
      this.#ours = before + took / 2;
      this.#low = Number(theirs & 0xffff_ffffn);
      this.#high = Number(theirs >> 32n);
    }
  }
}
