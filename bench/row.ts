// SPDX-License-Identifier: MIT

/** A line of the table. */
export interface Row {
  what: string;
  xdpctl: string;
  /** The C program, `ip -batch`, or empty Node, in the same run. */
  beside: string;
  /** `0.98`, or empty where there is nothing to divide. */
  ratio: string;
  wanted: string;
  ok: boolean;
  /** Legs, what was discarded, and whether the machine was quiet. */
  note: string;
}

/** A benchmark: measures, and gives its rows. `quick` asks for few legs: to see that it works. */
export type Benchmark = (options: {
  quick: boolean;
  /** How long a soak takes; its own choice where it is undefined. */
  seconds?: number | undefined;
  log: (text: string) => void;
}) => Promise<Row[]>;

export function legsNote(figures: { ours: unknown[]; discarded: number; quiet: boolean }): string {
  const discarded = figures.discarded === 0 ? "" : `, ${figures.discarded} discarded`;
  return `${figures.ours.length} legs each${discarded}${figures.quiet ? "" : ", machine not quiet"}`;
}
