// SPDX-License-Identifier: MIT
import type { TxTimestamp } from "../../xsk/index.js";

/** Of so many, the latest, the share is taken. */
const MOST = 65_536;

/** Microseconds; null where there is none. */
export interface Quantiles {
  readonly min: number | null;
  readonly p50: number | null;
  readonly p99: number | null;
  readonly max: number | null;
}

/** Of milliseconds. */
export function quantiles(milliseconds: Float64Array): Quantiles {
  const sorted = milliseconds.toSorted();
  const micro = (at: number): number | null =>
    sorted.length === 0 ? null : Math.round((sorted[at] ?? 0) * 10_000) / 10;
  const nth = (share: number): number | null => micro(Math.max(0, Math.ceil(sorted.length * share) - 1));
  return { min: micro(0), p50: nth(0.5), p99: nth(0.99), max: micro(sorted.length - 1) };
}

/** `min 12.0 µs  p50 13.5 µs  …` */
export function quantilesText(figures: Quantiles): string {
  return Object.entries(figures)
    .map(([name, value]) => `${name} ${value === null ? "–" : `${(value as number).toFixed(1)} µs`}`)
    .join("  ");
}

/** How long after it was written each packet was sent, by the kernel's timestamps. */
export class Timings {
  /** When the packets under way were written, by number: no more than the UMEM has frames. */
  readonly #written: Float64Array;
  readonly #took = new Float64Array(MOST);
  #count = 0;

  constructor(frames: number) {
    this.#written = new Float64Array(frames);
  }

  written(number: number): void {
    this.#written[number % this.#written.length] = performance.now();
  }

  readonly note = ({ tag, time }: TxTimestamp): void => {
    this.#took[this.#count++ % MOST] = time - (this.#written[tag % this.#written.length] as number);
  };

  get count(): number {
    return this.#count;
  }

  get quantiles(): Quantiles {
    return quantiles(this.#took.slice(0, Math.min(this.#count, MOST)));
  }
}
