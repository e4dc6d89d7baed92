// SPDX-License-Identifier: MIT
import type { Cidr } from "../packet/index.js";
import { formatAddress, parseCidr } from "../packet/index.js";
import { lstring, type TString, textOf } from "./lua.js";

/** A rule that a policy wrote. */
export interface Entry {
  readonly cidr: Cidr;
  /** performance.now() in ms; Infinity for rules that stay. */
  until: number;
  /** Not taken back. */
  live: boolean;
  /** Its slot among those that wait to be written anew; -1 where it does not wait. */
  waiting: number;
  readonly rate: number;
  readonly burst: number;
}

/** An address block as scripts name it: parsed once for each string, and kept with it and with what was written. */
export interface Block extends Cidr {
  deny: Entry | undefined;
  allow: Entry | undefined;
}

/** How many addresses are kept as Lua strings; the older half goes when they are more. */
const KEEP = 32_768;

function block(cidr: Cidr): Block {
  return { family: cidr.family, bytes: cidr.bytes, prefixLen: cidr.prefixLen, deny: undefined, allow: undefined };
}

/** The block that a Lua string names. Throws XDPCTL_E_USAGE where it names none. */
export function blockOf(ts: TString): Block {
  const known = ts.cidr as Block | undefined;
  if (known !== undefined) return known;
  const parsed = block(parseCidr(textOf(ts.realstring)));
  ts.cidr = parsed;
  return parsed;
}

function intern(bytes: Uint8Array): TString {
  const text = formatAddress(bytes);
  const ascii = new Uint8Array(text.length);
  for (let i = 0; i < ascii.length; i++) ascii[i] = text.charCodeAt(i);
  const ts = lstring.luaS_bless(null, ascii);
  // Tables ask for the hash anyway; here the text is at hand.
  ts.hash = `|${text}`;
  ts.cidr = block({ family: bytes.length === 4 ? 4 : 6, bytes, prefixLen: bytes.length * 8 });
  return ts;
}

/**
 * The addresses of records as Lua strings, each made once: a string that is known already costs one look into a table,
 * and its key for Lua's own tables is known with it.
 */
export class AddressStrings {
  #v4 = new Map<number, TString>();
  #v4Old = new Map<number, TString>();
  #v6 = new Map<string, TString>();
  #v6Old = new Map<string, TString>();
  #last = 0;
  #lastString: TString | undefined;

  /** Of four bytes as a 32-bit word read little-endian. */
  v4(word: number): TString {
    if (word === this.#last && this.#lastString !== undefined) return this.#lastString;
    let ts = this.#v4.get(word);
    if (ts === undefined) {
      ts = this.#v4Old.get(word);
      ts ??= intern(Uint8Array.of(word & 255, (word >>> 8) & 255, (word >>> 16) & 255, word >>> 24));
      if (this.#v4.size >= KEEP / 2) {
        this.#v4Old = this.#v4;
        this.#v4 = new Map();
      }
      this.#v4.set(word, ts);
    }
    this.#last = word;
    this.#lastString = ts;
    return ts;
  }

  /** Of 16 bytes at `at`. */
  v6(bytes: Uint8Array, at: number): TString {
    const key = Buffer.from(bytes.buffer, bytes.byteOffset + at, 16).toString("latin1");
    let ts = this.#v6.get(key);
    if (ts === undefined) {
      ts = this.#v6Old.get(key) ?? intern(bytes.slice(at, at + 16));
      if (this.#v6.size >= KEEP / 2) {
        this.#v6Old = this.#v6;
        this.#v6 = new Map();
      }
      this.#v6.set(key, ts);
    }
    return ts;
  }
}
