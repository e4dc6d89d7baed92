// SPDX-License-Identifier: MIT
import { watched } from "./contention.js";
import { loadNs } from "./memory-probe.js";

/** One side of a comparison: runs once and returns its figure, or what else was measured. */
export type Leg<T = number> = () => Promise<T> | T;

export interface Figures<T = number> {
  /** Of the legs that count, alone. */
  ours: T[];
  theirs: T[];
  /** Legs that were thrown away because others took the machine's time. */
  discarded: number;
  /** Whether enough legs were quiet; otherwise the least disturbed ones were taken. */
  quiet: boolean;
}

export interface Alternation {
  legs: number;
  /** How much of one CPU others may take in a leg. */
  tolerated?: number;
  /** How many times the least that a load took it may take around a leg, where neighbours on the host count: any by default. */
  slowest?: number;
  /** Processes that belong to the legs although none of them is a child of this one. */
  roots?: readonly number[];
}

interface Run<T> {
  figure: T;
  foreign: number;
  /** Nanoseconds of a load, before or after it: the longer. */
  load: number;
}

/**
 * Runs two legs in turns, in the order A B B A, until each has `legs` quiet ones. Gives up after three times as many, and
 * then takes the least disturbed.
 */
export async function alternate<T = number>(
  ours: Leg<T>,
  theirs: Leg<T>,
  { legs, tolerated = 0.2, slowest = Number.POSITIVE_INFINITY, roots = [] }: Alternation,
): Promise<Figures<T>> {
  const runs: [Run<T>[], Run<T>[]] = [[], []];
  let least = Number.POSITIVE_INFINITY;
  const disturbed = ({ foreign, load }: Run<T>): number => Math.max(foreign / tolerated, load / least / slowest);
  const quiet = (side: Run<T>[]): Run<T>[] => side.filter((one) => disturbed(one) <= 1);
  const enough = (): boolean => runs.every((side) => quiet(side).length >= legs);
  for (let round = 0; round < 3 * legs && !enough(); round++) {
    for (const side of round % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const)) {
      const leg = side === 0 ? ours : theirs;
      const before = loadNs();
      const { result, foreign } = await watched(async () => leg(), roots);
      const after = loadNs();
      least = Math.min(least, before, after);
      runs[side].push({ figure: result, foreign, load: Math.max(before, after) });
    }
  }
  const chosen = runs.map((side) => [...side].sort((a, b) => disturbed(a) - disturbed(b)).slice(0, legs)) as [
    Run<T>[],
    Run<T>[],
  ];
  return {
    ours: chosen[0].map(({ figure }) => figure),
    theirs: chosen[1].map(({ figure }) => figure),
    discarded: runs[0].length + runs[1].length - chosen[0].length - chosen[1].length,
    quiet: enough(),
  };
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}
