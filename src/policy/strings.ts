// SPDX-License-Identifier: MIT
/* The functions of `string` whose time or memory depends on what a script gives them: searching, repeating. */
import { look, reserve } from "./guard.js";
import {
  argument,
  bytesOf,
  fail,
  FLOAT,
  INTEGER,
  type LuaState,
  lauxlib,
  lstring,
  lua,
  pushNumber,
  pushString,
  setFunction,
  setNil,
  T,
} from "./lua.js";
import { format } from "./format.js";
import { isPlain, Matcher } from "./patterns.js";

/** Pushes a copy of bytes as a string. */
export function pushBytes(L: LuaState, bytes: Uint8Array): void {
  pushString(L, lstring.luaS_new(L, bytes));
}

function pushCapture(L: LuaState, capture: Uint8Array | number): void {
  if (typeof capture === "number") pushNumber(L, capture);
  else pushBytes(L, capture);
}

/** Pushes every capture, or the whole match where there is none; returns how many. */
function pushCaptures(L: LuaState, m: Matcher, s: number, e: number, whole: boolean): number {
  const n = m.level === 0 && whole ? 1 : m.level;
  lauxlib.luaL_checkstack(L, n, "too many captures");
  for (let i = 0; i < n; i++) pushCapture(L, m.capture(i, s, e));
  return n;
}

function startOf(L: LuaState, length: number): number {
  const given = lauxlib.luaL_optinteger(L, 3, 1);
  return given > 0 ? given - 1 : given === 0 ? 0 : Math.max(0, length + given);
}

function search(L: LuaState, find: boolean): number {
  const src = lauxlib.luaL_checkstring(L, 1);
  const pattern = lauxlib.luaL_checkstring(L, 2);
  const start = startOf(L, src.length);
  if (start <= src.length) {
    if (find && (lua.lua_toboolean(L, 4) || isPlain(pattern))) {
      const at = Buffer.from(src.buffer, src.byteOffset, src.length).indexOf(pattern, start);
      if (at >= 0) {
        pushNumber(L, at + 1);
        pushNumber(L, at + pattern.length);
        return 2;
      }
    } else {
      const m = new Matcher(L, src, pattern);
      for (let s = start; s <= src.length; s++) {
        const e = m.at(s);
        if (e >= 0) {
          if (!find) return pushCaptures(L, m, s, e, true);
          pushNumber(L, s + 1);
          pushNumber(L, e);
          return 2 + pushCaptures(L, m, s, e, false);
        }
        if (m.anchored) break;
      }
    }
  }
  lua.lua_pushnil(L);
  return 1;
}

function gmatch(L: LuaState): number {
  const src = lauxlib.luaL_checkstring(L, 1);
  const pattern = lauxlib.luaL_checkstring(L, 2);
  let at = 0;
  let last = -1;
  lua.lua_pushcfunction(L, (L) => {
    const m = new Matcher(L, src, pattern, false);
    for (; at <= src.length; at++) {
      const e = m.at(at);
      if (e < 0 || e === last) continue;
      const s = at;
      at = e;
      last = e;
      return pushCaptures(L, m, s, e, true);
    }
    lua.lua_pushnil(L);
    return 1;
  });
  return 1;
}

/** Bytes that grow, and are counted while they do. */
export class Growing {
  #bytes = new Uint8Array(256);
  #length = 0;

  add(L: LuaState, bytes: Uint8Array): void {
    const end = this.#length + bytes.length;
    if (end > this.#bytes.length) {
      const size = Math.max(end, this.#bytes.length * 2);
      reserve(L, end);
      const grown = new Uint8Array(size);
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    this.#bytes.set(bytes, this.#length);
    this.#length = end;
  }

  push(L: LuaState): void {
    pushBytes(L, this.#bytes.subarray(0, this.#length));
  }
}

const PERCENT = 37;

/** The replacement text of one match: `%0` to `%9` are captures. */
function expand(L: LuaState, out: Growing, m: Matcher, s: number, e: number, text: Uint8Array): void {
  let from = 0;
  for (let i = 0; i < text.length; i++) {
    if (text[i] !== PERCENT) continue;
    out.add(L, text.subarray(from, i));
    i++;
    const c = text[i];
    if (c === PERCENT) from = i;
    else if (c !== undefined && c >= 48 && c <= 57) {
      const capture = c === 48 ? m.src.subarray(s, e) : m.capture(c - 49, s, e);
      out.add(L, typeof capture === "number" ? bytesOf(`${capture}`) : capture);
      from = i + 1;
    } else fail(L, "invalid use of '%' in replacement string");
  }
  out.add(L, text.subarray(from));
}

function replacement(L: LuaState, out: Growing, m: Matcher, s: number, e: number, type: number): void {
  if (type === T.string || type === T.number) {
    expand(L, out, m, s, e, lua.lua_tostring(L, 3) as Uint8Array);
    return;
  }
  if (type === T.function) {
    lua.lua_pushvalue(L, 3);
    lua.lua_call(L, pushCaptures(L, m, s, e, true), 1);
  } else {
    pushCapture(L, m.capture(0, s, e));
    lua.lua_gettable(L, 3);
  }
  const got = lua.lua_type(L, -1);
  if (!lua.lua_toboolean(L, -1)) out.add(L, m.src.subarray(s, e));
  else if (got === T.string || got === T.number) out.add(L, lua.lua_tostring(L, -1) as Uint8Array);
  else fail(L, "invalid replacement value");
  lua.lua_pop(L, 1);
}

function gsub(L: LuaState): number {
  const src = lauxlib.luaL_checkstring(L, 1);
  const pattern = lauxlib.luaL_checkstring(L, 2);
  const type = lua.lua_type(L, 3);
  if (![T.number, T.string, T.function, T.table].includes(type))
    lauxlib.luaL_argerror(L, 3, bytesOf("string/function/table expected"));
  const most = lauxlib.luaL_optinteger(L, 4, src.length + 1);
  const m = new Matcher(L, src, pattern);
  const out = new Growing();
  let [s, n, last] = [0, 0, -1];
  while (n < most) {
    const e = m.at(s);
    if (e >= 0 && e !== last) {
      n++;
      replacement(L, out, m, s, e, type);
      s = e;
      last = e;
    } else if (s < src.length) {
      out.add(L, src.subarray(s, s + 1));
      s++;
    } else break;
    if (m.anchored) break;
  }
  out.add(L, src.subarray(s));
  out.push(L);
  pushNumber(L, n);
  return 2;
}

function rep(L: LuaState): number {
  const text = lauxlib.luaL_checkstring(L, 1);
  const value = argument(L, 2);
  const n =
    value?.type === FLOAT || value?.type === INTEGER ? (value.value as number) : lauxlib.luaL_checkinteger(L, 2);
  const separator = lua.lua_type(L, 3) <= 0 ? new Uint8Array(0) : lauxlib.luaL_checkstring(L, 3);
  if (!(n > 0) || text.length + separator.length === 0) {
    pushBytes(L, new Uint8Array(0));
    return 1;
  }
  const total = n * (text.length + separator.length) - separator.length;
  reserve(L, total);
  const out = Buffer.alloc(total);
  out.fill(separator.length === 0 ? text : Buffer.concat([text, separator]));
  pushString(L, lstring.luaS_bless(L, new Uint8Array(out.buffer, out.byteOffset, total)));
  return 1;
}

/** A function of fengari's that copies its argument: counted before it does. */
function copying(name: string, L: LuaState): void {
  lua.lua_getfield(L, -1, bytesOf(name));
  lua.lua_pushcclosure(
    L,
    (L) => {
      reserve(L, lauxlib.luaL_checkstring(L, 1).length);
      lua.lua_pushvalue(L, lua.lua_upvalueindex(1));
      lua.lua_insert(L, 1);
      lua.lua_call(L, lua.lua_gettop(L) - 1, 1);
      look(L);
      return 1;
    },
    1,
  );
  lua.lua_setfield(L, -2, bytesOf(name));
}

/** Replaces what is dangerous in the table `string`. `dump` and the binary formats (they wrap at 32 bits) go. */
export function openStrings(L: LuaState): void {
  lua.lua_getglobal(L, bytesOf("string"));
  setFunction(L, "find", (L) => search(L, true));
  setFunction(L, "match", (L) => search(L, false));
  setFunction(L, "gmatch", gmatch);
  setFunction(L, "gsub", gsub);
  setFunction(L, "rep", rep);
  setFunction(L, "format", format);
  for (const name of ["lower", "upper", "reverse"]) copying(name, L);
  setNil(L, "dump", "pack", "packsize", "unpack");
  lua.lua_pop(L, 1);
}
