// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import { bugLines, failureLines, failureObject } from "./failure.js";
import { type Cell, layout, visibleLines } from "./table.js";
import type { Column, Terminal } from "./terminal.js";

/** The reader of standard output is gone: the command ends, quietly. */
export class ReaderGone extends Error {}

/** Where a terminal's text goes. */
export interface Sink {
  out(text: string): void;
  err(text: string): void;
  /** Columns of the screen; undefined where there is none. */
  columns(): number | undefined;
  readonly interactive: boolean;
}

/** The one way to print: a table and prose, or JSON. */
export class ConsoleTerminal implements Terminal {
  /** Set by the command line before a command acts. */
  jsonMode: boolean;
  readonly #sink: Sink;

  constructor(sink: Sink, jsonMode = false) {
    this.#sink = sink;
    this.jsonMode = jsonMode;
  }

  get interactive(): boolean {
    return this.#sink.interactive;
  }

  get columns(): number | undefined {
    return this.#sink.columns();
  }

  table(columns: readonly Column[], rows: readonly (readonly Cell[])[]): void {
    if (this.jsonMode) return;
    this.#sink.out(`${layout(columns, rows).join("\n")}\n`);
  }

  line(text: string): void {
    if (!this.jsonMode) this.#sink.out(`${visibleLines(text)}\n`);
  }

  note(text: string): void {
    this.#sink.err(`${visibleLines(text)}\n`);
  }

  json(value: unknown): void {
    if (this.jsonMode) this.#sink.out(`${JSON.stringify(value)}\n`);
  }

  /** Text as it is, in both modes: help, a verifier's log. */
  raw(text: string): void {
    this.#sink.out(text);
  }

  /** Prints an error on standard error and returns its exit code. */
  failure(thrown: unknown): number {
    const error = XdpctlError.wrap(thrown);
    if (this.jsonMode) {
      this.#sink.err(`${JSON.stringify(failureObject(error))}\n`);
      return error.exitCode;
    }
    const lines = failureLines(error, this.#sink.columns());
    if (error.code === "XDPCTL_E_INTERNAL" && process.env.XDPCTL_DEBUG) lines.push(...bugLines(error));
    this.#sink.err(`${lines.join("\n")}\n`);
    return error.exitCode;
  }
}
