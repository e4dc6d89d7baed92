// SPDX-License-Identifier: MIT
import { holds } from "../views/view.js";
import { type Found, sameLetters } from "./found.js";

const LF = 10;
const CR = 13;
const COLON = 58;
const SEMICOLON = 59;
const EQUALS = 61;
const VERSION = new TextEncoder().encode("HTTP/1.");

const isBlank = (byte: number | undefined): boolean => byte === 32 || byte === 9;

/** Where the line that begins at `at` has its LF; -1 when it is not there. */
function lineEnd(bytes: Uint8Array, at: number, end: number): number {
  for (let i = at; i < end; i++) if (bytes[i] === LF) return i;
  return -1;
}

function trim(bytes: Uint8Array, start: number, end: number, found: Found): void {
  let first = start;
  let last = end;
  while (first < last && isBlank(bytes[first])) first++;
  while (last > first && (isBlank(bytes[last - 1]) || bytes[last - 1] === CR)) last--;
  found.start = first;
  found.end = last;
}

/** Whether the first line, up to its LF, is that of a request or of a response of HTTP/1. */
function isFirstLine(bytes: Uint8Array, start: number, lf: number): boolean {
  const end = lf > start && bytes[lf - 1] === CR ? lf - 1 : lf;
  const { length } = VERSION;
  if (end - start < length + 1) return false;
  // `GET / HTTP/1.1` ends with the version, `HTTP/1.1 200 OK` begins with it.
  return sameLetters(bytes, end - length - 1, VERSION) || sameLetters(bytes, start, VERSION);
}

/**
 * Finds the value of a header in a TCP payload that begins with an HTTP/1 request or response: the first one of that
 * name (bytes; capital letters don't matter), without the blanks around. A line that goes on in the next segment, and
 * what comes after the empty line, is not looked at.
 */
export function findHttpHeader(bytes: Uint8Array, start: number, end: number, name: Uint8Array, found: Found): boolean {
  if (!holds(bytes, start, end, 1)) return false;
  let lf = lineEnd(bytes, start, end);
  if (lf < 0 || !isFirstLine(bytes, start, lf)) return false;
  for (;;) {
    const at = lf + 1;
    lf = lineEnd(bytes, at, end);
    if (lf < 0 || lf === at || (lf === at + 1 && bytes[at] === CR)) return false;
    const colon = at + name.length;
    if (colon < lf && bytes[colon] === COLON && sameLetters(bytes, at, name)) {
      trim(bytes, colon + 1, lf, found);
      return true;
    }
  }
}

const COOKIE = new TextEncoder().encode("cookie");

/** Finds the value of the cookie `name` (bytes; capital letters matter) in a request. */
export function findCookie(bytes: Uint8Array, start: number, end: number, name: Uint8Array, found: Found): boolean {
  if (!findHttpHeader(bytes, start, end, COOKIE, found)) return false;
  const last = found.end;
  for (let at = found.start; at < last; ) {
    let next = at;
    while (next < last && bytes[next] !== SEMICOLON) next++;
    trim(bytes, at, next, found);
    const equals = found.start + name.length;
    if (equals < found.end && bytes[equals] === EQUALS) {
      let i = 0;
      while (i < name.length && bytes[found.start + i] === name[i]) i++;
      if (i === name.length) {
        found.start = equals + 1;
        return true;
      }
    }
    at = next + 1;
  }
  return false;
}
