// SPDX-License-Identifier: MIT
import { constants } from "node:os";
import { createInterface } from "node:readline";
import type { GuestCommand, GuestExit } from "../vm/index.js";

/** Bytes of standard error that are kept. */
const MOST_ERRORS = 16_384;

/** How a program in a guest ended, that was talked to. */
export interface Talked {
  readonly exit: GuestExit;
  /** The last lines of its standard error. */
  readonly errors: readonly string[];
}

/** Gives a command in a guest its standard input, and takes its output line by line. Rejects when the guest is gone. */
export async function talk(command: GuestCommand, input: string, told: (line: string) => void): Promise<Talked> {
  command.stdin.end(Buffer.from(input));
  let errors = "";
  command.stderr.setEncoding("utf8").on("data", (text: string) => {
    errors = (errors + text).slice(-MOST_ERRORS);
  });
  const lines = createInterface({ input: command.stdout });
  const read = new Promise<void>((resolve) => lines.once("close", resolve));
  lines.on("line", told);
  try {
    const exit = await command.exit;
    await read;
    return { exit, errors: errors.trimEnd().split("\n").slice(-8) };
  } finally {
    lines.close();
  }
}

/** `ended with 1`, for who must say so. */
export function endText(exit: GuestExit): string {
  if (exit.kind === "status") return `ended with ${exit.status}`;
  if (exit.kind === "failed") return `was not started: ${exit.what} (errno ${exit.errno})`;
  const found = Object.entries(constants.signals).find(([, number]) => number === exit.signal);
  return `was ended by ${found?.[0] ?? `signal ${exit.signal}`}`;
}
