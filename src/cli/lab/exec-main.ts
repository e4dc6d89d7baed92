// SPDX-License-Identifier: MIT
import { quickExec } from "../../lab/index.js";
import { ConsoleTerminal } from "../console.js";
import { STANDARD } from "../standard.js";
import { end } from "./in-guest.js";

interface Line {
  readonly lab?: string;
  readonly node: string;
  readonly argv: readonly [string, ...string[]];
}

/** What follows `lab exec`, as exec.ts reads it; undefined for all but the plain form. */
export function parseExec(words: readonly string[]): Line | undefined {
  let at = 0;
  let lab: string | undefined;
  for (; words[at]?.startsWith("-") === true; at++) {
    const word = words[at] as string;
    if (word.startsWith("--lab=")) lab = word.slice("--lab=".length);
    else if (word === "--lab" || word === "-l") lab = words[++at] ?? "";
    else return undefined;
    if (lab === "") return undefined;
  }
  const [node, ...rest] = words.slice(at);
  const [file, ...args] = rest[0] === "--" ? rest.slice(1) : rest;
  if (node === undefined || file === undefined || (rest[0] !== "--" && file.startsWith("-"))) return undefined;
  return { node, argv: [file, ...args], ...(lab === undefined ? {} : { lab }) };
}

/**
 * A script of its own for `lab exec`, a small part of the whole program: a command that stands for another one shall
 * take no longer than that. Ends the process, or returns where the whole program has to act, or to say what is wrong.
 */
export async function main(words: readonly string[]): Promise<void> {
  const line = parseExec(words);
  const run = line === undefined ? undefined : quickExec(line.lab, line.node);
  if (line === undefined || run === undefined) return;
  try {
    end(await run(line.argv));
    process.exit();
  } catch (error) {
    process.exit(new ConsoleTerminal(STANDARD).failure(error));
  }
}
