// SPDX-License-Identifier: MIT
/*
 * Lua's patterns, again: fengari's matcher can't be interrupted, and a short pattern may backtrack for hours. This one
 * counts its steps and looks at the clock.
 */
import { look } from "./guard.js";
import { fail, type LuaState } from "./lua.js";

const POSITION = -2;
const UNFINISHED = -1;
const MAX_CAPTURES = 32;
const MAX_DEPTH = 200;
const STEPS = 4096;

const ESC = 37;
const code = (c: string): number => c.charCodeAt(0);
const [OPEN, CLOSE, SET, SET_END, CARET, DOLLAR, DOT, STAR, PLUS, MINUS, QUESTION] = [..."()[]^$.*+-?"].map(code) as [
  ...number[],
] as [number, number, number, number, number, number, number, number, number, number, number];

/** Whether byte `c` is in the class that a letter names (`%a`); upper case negates. */
function inClass(c: number, letter: number): boolean {
  const lower = letter | 32;
  let res: boolean;
  switch (lower) {
    case 97: // a
      res = (c >= 65 && c <= 90) || (c >= 97 && c <= 122);
      break;
    case 99: // c
      res = c < 32 || c === 127;
      break;
    case 100: // d
      res = c >= 48 && c <= 57;
      break;
    case 103: // g
      res = c > 32 && c < 127;
      break;
    case 108: // l
      res = c >= 97 && c <= 122;
      break;
    case 112: // p
      res = (c > 32 && c < 48) || (c > 57 && c < 65) || (c > 90 && c < 97) || (c > 122 && c < 127);
      break;
    case 115: // s
      res = c === 32 || (c >= 9 && c <= 13);
      break;
    case 117: // u
      res = c >= 65 && c <= 90;
      break;
    case 119: // w
      res = (c >= 48 && c <= 57) || (c >= 65 && c <= 90) || (c >= 97 && c <= 122);
      break;
    case 120: // x
      res = (c >= 48 && c <= 57) || (c >= 65 && c <= 70) || (c >= 97 && c <= 102);
      break;
    default:
      return letter === c;
  }
  return letter === lower ? res : !res;
}

/** One pattern against one subject. */
export class Matcher {
  readonly #L: LuaState;
  readonly src: Uint8Array;
  readonly #p: Uint8Array;
  readonly anchored: boolean;
  readonly #start: number;
  level = 0;
  readonly init = new Int32Array(MAX_CAPTURES);
  readonly length = new Int32Array(MAX_CAPTURES);
  #depth = 0;
  #steps = STEPS;

  /** `anchors`: whether a leading `^` binds the pattern to where the search starts. */
  constructor(L: LuaState, src: Uint8Array, pattern: Uint8Array, anchors = true) {
    this.#L = L;
    this.src = src;
    this.#p = pattern;
    this.anchored = anchors && pattern[0] === CARET;
    this.#start = this.anchored ? 1 : 0;
  }

  /** The end of a match that begins at `s`, or -1. */
  at(s: number): number {
    this.level = 0;
    this.#depth = 0;
    return this.#match(s, this.#start);
  }

  #step(): void {
    if (--this.#steps > 0) return;
    this.#steps = STEPS;
    look(this.#L);
  }

  #classEnd(at: number): number {
    const p = this.#p;
    let i = at + 1;
    if (p[at] === ESC) {
      if (i >= p.length) fail(this.#L, "malformed pattern (ends with '%')");
      return i + 1;
    }
    if (p[at] === SET) {
      if (p[i] === CARET) i++;
      do {
        if (i >= p.length) fail(this.#L, "malformed pattern (missing ']')");
        if (p[i++] === ESC) i++;
      } while (p[i] !== SET_END || i >= p.length);
      return i + 1;
    }
    return i;
  }

  #inSet(c: number, from: number, end: number): boolean {
    const p = this.#p;
    let i = from + 1;
    let found = true;
    if (p[i] === CARET) {
      found = false;
      i++;
    }
    for (; i < end; i++) {
      if (p[i] === ESC) {
        i++;
        if (inClass(c, p[i] as number)) return found;
      } else if (p[i + 1] === MINUS && i + 2 < end) {
        if ((p[i] as number) <= c && c <= (p[i + 2] as number)) return found;
        i += 2;
      } else if (p[i] === c) return found;
    }
    return !found;
  }

  #single(s: number, at: number, end: number): boolean {
    if (s >= this.src.length) return false;
    const c = this.src[s] as number;
    const p = this.#p[at];
    if (p === DOT) return true;
    if (p === ESC) return inClass(c, this.#p[at + 1] as number);
    if (p === SET) return this.#inSet(c, at, end - 1);
    return p === c;
  }

  #match(from: number, pattern: number): number {
    let [s, at] = [from, pattern];
    if (++this.#depth > MAX_DEPTH) fail(this.#L, "pattern too complex");
    const p = this.#p;
    const end = p.length;
    let result = -1;
    loop: for (;;) {
      this.#step();
      if (at >= end) {
        result = s;
        break;
      }
      const c = p[at];
      if (c === OPEN) {
        result = p[at + 1] === CLOSE ? this.#open(s, at + 2, POSITION) : this.#open(s, at + 1, UNFINISHED);
        break;
      }
      if (c === CLOSE) {
        result = this.#close(s, at + 1);
        break;
      }
      if (c === DOLLAR && at + 1 === end) {
        result = s === this.src.length ? s : -1;
        break;
      }
      if (c === ESC) {
        const next = p[at + 1];
        if (next === 98) {
          s = this.#balance(s, at + 2);
          if (s < 0) break;
          at += 4;
          continue;
        }
        if (next === 102) {
          at += 2;
          if (p[at] !== SET) fail(this.#L, "missing '[' after '%f' in pattern");
          const close = this.#classEnd(at);
          const before = s === 0 ? 0 : (this.src[s - 1] as number);
          const here = s < this.src.length ? (this.src[s] as number) : 0;
          if (this.#inSet(before, at, close - 1) || !this.#inSet(here, at, close - 1)) break;
          at = close;
          continue;
        }
        if (next !== undefined && next >= 48 && next <= 57) {
          s = this.#again(s, next);
          if (s < 0) break;
          at += 2;
          continue;
        }
      }
      const close = this.#classEnd(at);
      const suffix = p[close];
      switch (suffix) {
        case QUESTION:
          if (this.#single(s, at, close)) {
            result = this.#match(s + 1, close + 1);
            if (result >= 0) break loop;
          }
          at = close + 1;
          continue;
        case PLUS:
          result = this.#single(s, at, close) ? this.#most(s + 1, at, close) : -1;
          break loop;
        case STAR:
          result = this.#most(s, at, close);
          break loop;
        case MINUS:
          result = this.#least(s, at, close);
          break loop;
        default:
          if (!this.#single(s, at, close)) break loop;
          s++;
          at = close;
      }
    }
    this.#depth--;
    return result;
  }

  #most(s: number, at: number, close: number): number {
    let i = 0;
    while (this.#single(s + i, at, close)) {
      i++;
      this.#step();
    }
    for (; i >= 0; i--) {
      const res = this.#match(s + i, close + 1);
      if (res >= 0) return res;
    }
    return -1;
  }

  #least(from: number, at: number, close: number): number {
    for (let s = from; ; s++) {
      const res = this.#match(s, close + 1);
      if (res >= 0) return res;
      if (!this.#single(s, at, close)) return -1;
    }
  }

  #open(s: number, at: number, what: number): number {
    if (this.level >= MAX_CAPTURES) fail(this.#L, "too many captures");
    this.init[this.level] = s;
    this.length[this.level] = what;
    this.level++;
    const res = this.#match(s, at);
    if (res < 0) this.level--;
    return res;
  }

  #close(s: number, at: number): number {
    let l = this.level - 1;
    while (l >= 0 && this.length[l] !== UNFINISHED) l--;
    if (l < 0) fail(this.#L, "invalid pattern capture");
    this.length[l] = s - (this.init[l] as number);
    const res = this.#match(s, at);
    if (res < 0) this.length[l] = UNFINISHED;
    return res;
  }

  #balance(from: number, at: number): number {
    if (at + 1 >= this.#p.length) fail(this.#L, "malformed pattern (missing arguments to '%b')");
    const [open, close] = [this.#p[at], this.#p[at + 1]];
    if (this.src[from] !== open || from >= this.src.length) return -1;
    let depth = 1;
    for (let s = from + 1; s < this.src.length; s++) {
      this.#step();
      if (this.src[s] === close) {
        if (--depth === 0) return s + 1;
      } else if (this.src[s] === open) depth++;
    }
    return -1;
  }

  /** `%1`: what that capture matched, once more. */
  #again(s: number, digit: number): number {
    const l = digit - 49;
    const length = this.length[l];
    if (l < 0 || l >= this.level || length === undefined || length < 0)
      fail(this.#L, `invalid capture index %${l + 1}`);
    const init = this.init[l] as number;
    if (this.src.length - s < length) return -1;
    for (let i = 0; i < length; i++) if (this.src[init + i] !== this.src[s + i]) return -1;
    return s + length;
  }

  /** Capture `i` (from 0) of the match `s`–`e`: bytes, or a position (from 1). Without captures 0 is the whole match. */
  capture(i: number, s: number, e: number): Uint8Array | number {
    if (i >= this.level) {
      if (i !== 0) fail(this.#L, `invalid capture index %${i + 1}`);
      return this.src.subarray(s, e);
    }
    const init = this.init[i] as number;
    const length = this.length[i] as number;
    if (length === POSITION) return init + 1;
    if (length === UNFINISHED) fail(this.#L, "unfinished capture");
    return this.src.subarray(init, init + length);
  }
}

/** Whether a pattern is plain text. */
export function isPlain(pattern: Uint8Array): boolean {
  return !pattern.some((c) => "^$*+?.([%-".includes(String.fromCharCode(c)));
}
