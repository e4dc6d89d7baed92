// SPDX-License-Identifier: MIT
import { resolve } from "node:path";
import { XdpctlError } from "../errors/index.js";
import { readBounded } from "../linux/index.js";
import type { ScriptArguments } from "./messages.js";

const MAX_FILE = 16 << 20;

function lines(path: string, cwd: string): string[] {
  const full = resolve(cwd, path);
  let bytes: Buffer;
  try {
    bytes = readBounded(full, MAX_FILE);
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code ?? "unreadable";
    throw new XdpctlError("XDPCTL_E_NO_FILE", `reading ${full}, an argument of the policy: ${reason}`, { cause });
  }
  const all = bytes.toString().split(/\r?\n/);
  if (all.at(-1) === "") all.pop();
  return all;
}

/**
 * The words after a policy's file: `NAME=TEXT`, `NAME=@FILE` for the lines of a file (scripts have no files of their
 * own), and the same without a name. Throws XDPCTL_E_NO_FILE, XDPCTL_E_USAGE.
 */
export function scriptArguments(words: readonly string[], cwd = process.cwd()): ScriptArguments {
  const out: ScriptArguments = { positional: [], named: {} };
  for (const word of words) {
    const [, name, value = ""] = /^(?:([A-Za-z_]\w*)=)?(.*)$/s.exec(word) ?? [];
    const given = value.startsWith("@") ? lines(value.slice(1), cwd) : value;
    if (name === undefined) out.positional.push(given);
    else out.named[name] = given;
  }
  return out;
}
