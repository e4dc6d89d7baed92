// SPDX-License-Identifier: MIT
import { HOOK, HOOK_NAMES } from "./shared.js";

/** What runs, as messages call it. */
export function hookText(hook: number): string {
  switch (hook) {
    case HOOK.chunk:
      return "the script itself";
    case HOOK.every:
      return "a function of every";
    case HOOK.load:
      return "the answer to load";
    case HOOK.call:
      return "the answer to genl.call";
    default:
      return `the ${HOOK_NAMES[hook] ?? "?"} hook`;
  }
}

/** `portscan.lua:12: the flow hook ran longer than 100 ms and was stopped`. */
export function stoppedText(file: string, line: number, hook: number, what: string): string {
  const where = line > 0 ? `${file}:${line}` : file;
  return `${where}: ${hookText(hook)} ${what} and was stopped`;
}
