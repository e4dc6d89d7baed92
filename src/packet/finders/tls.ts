// SPDX-License-Identifier: MIT
import { holds } from "../views/view.js";
import { u16At } from "../views/wire.js";
import type { Found } from "./found.js";

const HANDSHAKE = 22;
const CLIENT_HELLO = 1;
const SERVER_NAME = 0;
const HOST_NAME = 0;
/** Record header, handshake header, version and random: before the session id. */
const FIXED = 5 + 4 + 2 + 32;

/**
 * Finds the server name (SNI, RFC 6066 §3) in a TCP payload that begins with a TLS ClientHello. A hello that goes on in
 * the next segment is read as far as it is here. False when there is none, or its lengths are wrong.
 */
export function findServerName(bytes: Uint8Array, start: number, end: number, found: Found): boolean {
  if (!holds(bytes, start, end, FIXED + 1)) return false;
  if (bytes[start] !== HANDSHAKE || bytes[start + 1] !== 3 || bytes[start + 5] !== CLIENT_HELLO) return false;
  const record = Math.min(end, start + 5 + u16At(bytes, start + 3));
  const hello = start + 9 + (((bytes[start + 6] as number) << 16) | u16At(bytes, start + 7));
  const last = Math.min(record, hello);
  let at = start + FIXED;
  if (at + 1 > last) return false;
  at += 1 + (bytes[at] as number); // session id
  if (at + 2 > last) return false;
  at += 2 + u16At(bytes, at); // cipher suites
  if (at + 1 > last) return false;
  at += 1 + (bytes[at] as number); // compression methods
  if (at + 2 > last) return false;
  const extensions = Math.min(last, at + 2 + u16At(bytes, at));
  at += 2;
  while (at + 4 <= extensions) {
    const length = u16At(bytes, at + 2);
    if (u16At(bytes, at) === SERVER_NAME) return readName(bytes, at + 4, Math.min(extensions, at + 4 + length), found);
    at += 4 + length;
  }
  return false;
}

/** A list of names, of which only the host name is ever there: list length 2, type 1, length 2, name. */
function readName(bytes: Uint8Array, at: number, end: number, found: Found): boolean {
  if (at + 5 > end || bytes[at + 2] !== HOST_NAME) return false;
  const length = u16At(bytes, at + 3);
  if (length === 0 || at + 5 + length > end || length + 3 > u16At(bytes, at)) return false;
  found.start = at + 5;
  found.end = at + 5 + length;
  return true;
}
