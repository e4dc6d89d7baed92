// SPDX-License-Identifier: MIT
import lbaselib from "fengari/src/lbaselib.js";
import lcorolib from "fengari/src/lcorolib.js";
import lmathlib from "fengari/src/lmathlib.js";
import lstrlib from "fengari/src/lstrlib.js";
import ltablib from "fengari/src/ltablib.js";
import lutf8lib from "fengari/src/lutf8lib.js";
import { Abort, abortPending, memoryInUse, outOfMemory, reserve, rethrowAbort } from "./guard.js";
import {
  argument,
  bytesOf,
  defs,
  fail,
  type LuaFunction,
  type LuaState,
  lauxlib,
  lua,
  pushText,
  setFunction,
  setNil,
  T,
  TABLE,
  type Table,
} from "./lua.js";
import { openNumbers, pushCount } from "./numbers.js";
import { Growing, openStrings } from "./strings.js";

const LIBRARIES: [string, LuaFunction][] = [
  ["_G", lbaselib.luaopen_base],
  ["string", lstrlib.luaopen_string],
  ["table", ltablib.luaopen_table],
  ["math", lmathlib.luaopen_math],
  ["utf8", lutf8lib.luaopen_utf8],
  ["coroutine", lcorolib.luaopen_coroutine],
];

/** A new Lua state with what a policy may use: no files, processes, network, `debug`, or loading of code. */
export function openSandbox(): LuaState {
  const L = lauxlib.luaL_newstate();
  if (L === null) throw new Error("fengari made no state");
  // The guard's trace runs before each instruction; new coroutines inherit this.
  L.hookmask = defs.LUA_MASKCOUNT;
  lua.lua_atnativeerror(L, nativeError);
  for (const [name, open] of LIBRARIES) {
    lauxlib.luaL_requiref(L, bytesOf(name), open, true);
    lua.lua_pop(L, 1);
  }
  lua.lua_getglobal(L, bytesOf("_G"));
  setNil(L, "dofile", "loadfile", "load", "print");
  for (const name of ["pcall", "xpcall"]) wrap(L, name);
  setFunction(L, "collectgarbage", collectgarbage);
  setFunction(L, "setmetatable", setmetatable);
  lua.lua_pop(L, 1);
  openNumbers(L);
  openStrings(L);
  lua.lua_getglobal(L, bytesOf("table"));
  setFunction(L, "concat", concat);
  lua.lua_pop(L, 1);
  openCoroutines(L);
  protectStrings(L);
  return L;
}

/** An exception of JavaScript inside Lua becomes a Lua error; an abort stays what it is, whoever catches this. */
function nativeError(L: LuaState): number {
  const thrown = lua.lua_touserdata(L, 1);
  if (!(thrown instanceof Abort)) {
    if (
      thrown instanceof RangeError &&
      /allocation failed|Invalid (typed )?array (buffer )?length/i.test(thrown.message)
    ) {
      try {
        outOfMemory(L);
      } catch {
        // The next instruction throws it again.
      }
    }
    const stack = thrown instanceof RangeError && /call stack/i.test(thrown.message);
    pushText(L, stack ? "stack overflow" : thrown instanceof Error ? thrown.message : String(thrown));
    return 1;
  }
  pushText(L, thrown.message);
  return 1;
}

/** Wraps the function `name` of the table on top of the stack, which may have caught an abort. */
function wrap(L: LuaState, name: string): void {
  lua.lua_getfield(L, -1, bytesOf(name));
  const original = (L.stack[L.top - 1] as { value: unknown }).value as LuaFunction;
  lua.lua_pop(L, 1);
  setFunction(L, name, (L) => {
    rethrowAbort();
    const n = original(L);
    rethrowAbort();
    return n;
  });
}

function openCoroutines(L: LuaState): void {
  lua.lua_getglobal(L, bytesOf("coroutine"));
  wrap(L, "resume");
  lua.lua_getfield(L, -1, bytesOf("wrap"));
  const cowrap = (L.stack[L.top - 1] as { value: unknown }).value as LuaFunction;
  lua.lua_pop(L, 1);
  setFunction(L, "wrap", (L) => {
    cowrap(L);
    const made = (L.stack[L.top - 1] as { value: unknown }).value as { f: LuaFunction };
    const resume = made.f;
    made.f = (L) => {
      try {
        return resume(L);
      } finally {
        if (abortPending() !== undefined) rethrowAbort();
      }
    };
    return 1;
  });
  lua.lua_pop(L, 1);
}

/** `getmetatable("")` shows nothing that could be changed. */
function protectStrings(L: LuaState): void {
  pushText(L, "");
  lua.lua_getmetatable(L, -1);
  lua.lua_pushboolean(L, false);
  lua.lua_setfield(L, -2, bytesOf("__metatable"));
  lua.lua_pop(L, 2);
}

function collectgarbage(L: LuaState): number {
  const what = lua.lua_type(L, 1) <= 0 ? "collect" : Buffer.from(lauxlib.luaL_checkstring(L, 1)).toString();
  if (what === "count") lua.lua_pushnumber(L, memoryInUse() / 1024);
  else pushCount(L, 0);
  return 1;
}

function setmetatable(L: LuaState): number {
  const type = lua.lua_type(L, 2);
  lauxlib.luaL_checktype(L, 1, T.table);
  if (type !== T.nil && type !== T.table) lauxlib.luaL_argerror(L, 2, bytesOf("nil or table expected"));
  const table = argument(L, 1);
  if (table?.type === TABLE && (table.value as Table).sid !== 0)
    fail(L, "a table in `state` has no metatable: state keeps plain values");
  if (lua.lua_getmetatable(L, 1)) {
    lua.lua_getfield(L, -1, bytesOf("__metatable"));
    if (lua.lua_type(L, -1) !== T.nil) fail(L, "cannot change a protected metatable");
    lua.lua_pop(L, 2);
  }
  lua.lua_settop(L, 2);
  lua.lua_setmetatable(L, 1);
  return 1;
}

/** `table.concat`, counted while it grows. */
function concat(L: LuaState): number {
  lauxlib.luaL_checktype(L, 1, T.table);
  const separator = lua.lua_type(L, 2) <= 0 ? new Uint8Array(0) : lauxlib.luaL_checkstring(L, 2);
  const first = lauxlib.luaL_optinteger(L, 3, 1);
  const last = lua.lua_type(L, 4) <= 0 ? lauxlib.luaL_len(L, 1) : lauxlib.luaL_checkinteger(L, 4);
  const out = new Growing();
  for (let i = first; i <= last; i++) {
    const type = lua.lua_geti(L, 1, i);
    if (type !== T.string && type !== T.number) {
      const name = Buffer.from(lauxlib.luaL_typename(L, -1)).toString();
      fail(L, `invalid value (${name}) at index ${i} in table for 'concat'`);
    }
    out.add(L, lua.lua_tostring(L, -1) as Uint8Array);
    lua.lua_pop(L, 1);
    if (i < last) out.add(L, separator);
    if ((i & 1023) === 0) reserve(L, 0);
  }
  out.push(L);
  return 1;
}
