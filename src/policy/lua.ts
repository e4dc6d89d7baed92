// SPDX-License-Identifier: MIT
// The order matters: first what changes fengari, then its modules from the top, because they need each other in circles.
import "./lua-strings.js";
import lua, { type LuaFunction } from "fengari/src/lua.js";
import lauxlib from "fengari/src/lauxlib.js";
import defs from "fengari/src/defs.js";
import ldebug from "fengari/src/ldebug.js";
import ldo from "fengari/src/ldo.js";
import lobject, { type LClosure, type Proto, type TValue } from "fengari/src/lobject.js";
import lopcodes from "fengari/src/lopcodes.js";
import lstate, { type LuaState } from "fengari/src/lstate.js";
import lstring, { type TString } from "fengari/src/lstring.js";
import ltable, { type Table } from "fengari/src/ltable.js";

export { defs, lauxlib, ldebug, ldo, lobject, lopcodes, lstate, lstring, ltable, lua };
export type { LClosure, LuaFunction, LuaState, Proto, Table, TString, TValue };

function tag(name: string): number {
  const value = defs.constant_types[name];
  if (value === undefined) throw new Error(`fengari has no ${name}`);
  return value;
}

export const NIL = tag("LUA_TNIL");
export const BOOLEAN = tag("LUA_TBOOLEAN");
/** A string's variant; fengari makes no other. */
export const STRING = tag("LUA_TLNGSTR");
export const INTEGER = tag("LUA_TNUMINT");
export const FLOAT = tag("LUA_TNUMFLT");
export const TABLE = tag("LUA_TTABLE");
export const USERDATA = tag("LUA_TUSERDATA");
/** A Lua function. */
export const LUA_CLOSURE = tag("LUA_TLCL");
/** Types as `lua_type` has them, without variants. */
export const T = {
  none: tag("LUA_TNONE"),
  nil: tag("LUA_TNIL"),
  boolean: tag("LUA_TBOOLEAN"),
  number: tag("LUA_TNUMBER"),
  string: tag("LUA_TSTRING"),
  table: tag("LUA_TTABLE"),
  function: tag("LUA_TFUNCTION"),
  userdata: tag("LUA_TUSERDATA"),
};
export const MULTRET = -1;
/** LUA_IDSIZE: bytes of a script's name in messages. */
const MOST_SOURCE = 60;

const { TValue: Value } = lobject;

/** The bytes of a text, for fengari. */
export function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text));
}

/** Lua's bytes as text; what is not UTF-8 is replaced. */
export function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString();
}

export function pushText(L: LuaState, text: string): void {
  L.stack[L.top++] = new Value(STRING, lstring.luaS_newliteral(L, text));
}

export function pushString(L: LuaState, ts: TString): void {
  L.stack[L.top++] = new Value(STRING, ts);
}

/** A number as an integer where it fits into Lua's 32 bits and as a float elsewhere: it never wraps. */
export function pushNumber(L: LuaState, n: number): void {
  L.stack[L.top++] = new Value((n | 0) === n ? INTEGER : FLOAT, n);
}

/** The argument `index` (from 1) of the C function that runs, or undefined. */
export function argument(L: LuaState, index: number): TValue | undefined {
  const at = L.ci.funcOff + index;
  return at < L.top ? L.stack[at] : undefined;
}

/** Raises a Lua error with the caller's position in front. */
export function fail(L: LuaState, message: string): never {
  lauxlib.luaL_where(L, 1);
  pushText(L, message);
  lua.lua_concat(L, 2);
  return lua.lua_error(L);
}

/** The same of what a function returned, with the place where it begins: the line that returned is known no more. */
export function failOf(L: LuaState, fn: TValue, message: string): never {
  if (fn.type !== LUA_CLOSURE) return fail(L, message);
  const { source, linedefined } = (fn.value as LClosure).p;
  const name = source === null ? "?" : textOf(lobject.luaO_chunkid(source.realstring, MOST_SOURCE));
  pushText(L, `${name}:${linedefined}: ${message}`);
  return lua.lua_error(L);
}

/** Text argument `index`; raises Lua's error where it is none. */
export function textArgument(L: LuaState, index: number): string {
  return textOf(lauxlib.luaL_checkstring(L, index));
}

/** Sets `name` of the table on top of the stack. */
export function setFunction(L: LuaState, name: string, fn: LuaFunction): void {
  lua.lua_pushcfunction(L, fn);
  lua.lua_setfield(L, -2, bytesOf(name));
}

export function setGlobal(L: LuaState, name: string, fn: LuaFunction): void {
  lua.lua_pushcfunction(L, fn);
  lua.lua_setglobal(L, bytesOf(name));
}

/** Removes names from the table on top of the stack. */
export function setNil(L: LuaState, ...names: string[]): void {
  for (const name of names) {
    lua.lua_pushnil(L);
    lua.lua_setfield(L, -2, bytesOf(name));
  }
}
