// SPDX-License-Identifier: MIT

export interface Column {
  title: string;
  align?: "left" | "right";
}

/** How every command shows what it found. Commands never write to standard output themselves. */
export interface Terminal {
  /** `--json` was given: facts go through `json`, and prose is silent. */
  readonly jsonMode: boolean;
  readonly interactive: boolean;
  /** A table; nothing in JSON mode. Cells that are null show as `–`. */
  table(columns: readonly Column[], rows: readonly (readonly (string | number | null)[])[]): void;
  /** A line of prose on standard output; nothing in JSON mode. */
  line(text: string): void;
  /** A line of prose on standard error, in both modes. */
  note(text: string): void;
  /** One JSON object on one line; only in JSON mode. */
  json(value: unknown): void;
}
