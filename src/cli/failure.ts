// SPDX-License-Identifier: MIT
import { CODES, type ErrorObject, type XdpctlError } from "../errors/index.js";
import { visible } from "./table.js";

/** Remedies of the table that only point back at the message. */
const SAYS_NOTHING = /in the message|message says|^check the path$|what it names$/;

function hintOf(error: XdpctlError): string | undefined {
  const { remedy } = error;
  if (remedy === "") return undefined;
  if (remedy !== CODES[error.code].remedy) return remedy;
  if (SAYS_NOTHING.test(remedy)) return undefined;
  // The message already told.
  if (error.message.includes("(did you mean") || error.message.includes("(or root)")) return undefined;
  return remedy;
}

/**
 * The lines of an error on a terminal: `error: message   CODE`, what belongs to it indented, and a hint. The code is
 * at the right edge of a terminal of `columns`, where there is room.
 */
export function failureLines(error: XdpctlError, columns?: number): string[] {
  const [first = "", ...more] = error.message.split("\n").map(visible);
  const head = `error: ${first}`;
  const right = Math.min(columns ?? 0, 100);
  const lines = [head.padEnd(Math.max(head.length + 2, right - error.code.length)) + error.code];
  for (const line of [...more, ...error.lines.flatMap((l) => l.split("\n")).map(visible)]) lines.push(`  ${line}`);
  const { kernel } = error;
  if (kernel !== undefined && ![error.message, ...error.lines].some((line) => line.includes(kernel))) {
    lines.push(`  kernel: ${visible(kernel)}`);
  }
  const hint = hintOf(error);
  if (hint !== undefined)
    lines.push(/^(hint|whole log):/.test(hint) ? `  ${visible(hint)}` : `  hint: ${visible(hint)}`);
  return lines;
}

/** What `--json` prints on standard error. */
export function failureObject(error: XdpctlError): { error: ErrorObject & { class: string; exitCode: number } } {
  return { error: { ...error.toJSON(), class: error.class, exitCode: error.exitCode } };
}

/** The stack of a bug, for `XDPCTL_DEBUG`. */
export function bugLines(error: XdpctlError): string[] {
  const cause = error.cause instanceof Error ? error.cause : error;
  return (cause.stack ?? "").split("\n").map((line) => `  ${visible(line)}`);
}
