// SPDX-License-Identifier: MIT
import type { Loop } from "../loop/index.js";
import type { Backend } from "../rpc/index.js";
import type { ConsoleTerminal } from "./console.js";

/** Where a command that goes on writes: bounded, and it never waits for the reader. */
export interface Live {
  /** True where frames can be drawn over each other. */
  readonly screen: boolean;
  readonly rows: number | undefined;
  readonly columns: number | undefined;
  /** Bytes that wait for the reader. */
  readonly queued: number;
  /** Whole lines, or bytes; what comes while too much waits is dropped and counted. */
  write(text: string | Uint8Array): void;
  /** One frame; only the newest that waits is ever drawn. */
  frame(text: string): void;
  /** Resolves when all is written or the reader is gone. */
  drained(): Promise<void>;
  close(): void;
}

/** What a command line runs in: a process of its own, or a line of the REPL. */
export interface Context {
  /** `script`: the REPL reads from something that is no terminal. */
  readonly kind: "shell" | "repl" | "script";
  readonly terminal: ConsoleTerminal;
  /** Aborted when the command is to end: SIGINT, SIGTERM, SIGHUP, the reader is gone, Ctrl-C in the REPL. */
  readonly signal: AbortSignal;
  /** The controller of this namespace, or what does without one. */
  backend(): Promise<Backend>;
  loop(): Promise<Loop>;
  live(): Promise<Live>;
  /** `lab …`: the REPL gives it to another process. */
  lab?(args: readonly string[]): Promise<number>;
}

/** Bytes that may wait in a `Live` before its writer holds back. */
export const ENOUGH = 262_144;

/** Resolves when `signal` is aborted, at once when it was. */
export function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

/** Waits for what is still to be written; once the command is to end, not for long: its reader may be the reason. */
export async function settle(work: Promise<void>, signal: AbortSignal): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = aborted(signal).then(
    () =>
      new Promise<void>((resolve) => {
        timer = setTimeout(resolve, 200);
      }),
  );
  await Promise.race([work, late]);
  clearTimeout(timer);
}
