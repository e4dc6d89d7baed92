// SPDX-License-Identifier: MIT
/*
 * Numbers that stay exact: integers of 32 bits, floats up to 2^53, and counts above as a userdata over BigInt. Nothing
 * wraps; what can't be exact any more becomes a float, as in Lua.
 */
import {
  argument,
  bytesOf,
  defs,
  FLOAT,
  fail,
  INTEGER,
  type LuaFunction,
  type LuaState,
  lauxlib,
  lobject,
  lua,
  pushNumber,
  pushText,
  setFunction,
  setGlobal,
  STRING,
  T,
  type TString,
  type TValue,
  textOf,
  USERDATA,
} from "./lua.js";

const COUNT_TYPE = bytesOf("xdpctl.count");
const LIMIT = 2n ** 128n;
const REGISTRY = defs.LUA_REGISTRYINDEX;

/** Decimal or hexadecimal integers that fengari would wrap become floats. */
const str2num = lobject.luaO_str2num;
lobject.luaO_str2num = (bytes, into) => {
  const end = str2num(bytes, into);
  if (end !== 0 && into.type === INTEGER) {
    const text = Buffer.from(bytes).toString("latin1").replace(/\0.*$/s, "").trim();
    const hex = /^([+-]?)0x([0-9a-f]+)$/i.exec(text);
    if (hex?.[2] !== undefined && hex[2].replace(/^0+/, "").length >= 8) {
      const value = Number(`0x${hex[2]}`) * (hex[1] === "-" ? -1 : 1);
      if ((value | 0) !== value) {
        into.type = FLOAT;
        into.value = value;
      }
    }
  }
  return end;
};

// The compiler folds constants with this.
const arith = lobject.luaO_arith;
lobject.luaO_arith = (L, op, p1, p2, p3) => {
  if (p1.type === INTEGER && p2.type === INTEGER) {
    const [a, b] = [p1.value as number, p2.value as number];
    // LUA_OPADD, SUB, MUL, UNM, SHL
    const exact = op === 0 ? a + b : op === 1 ? a - b : op === 2 ? a * b : op === 12 ? -a : op === 10 ? a * 2 ** b : 0;
    if ((exact | 0) !== exact) {
      p3.type = FLOAT;
      p3.value = exact;
      return;
    }
  }
  arith(L, op, p1, p2, p3);
};

interface CountData {
  value: bigint;
}

function asCount(value: TValue | undefined): bigint | undefined {
  if (value?.type !== USERDATA) return undefined;
  const data = (value.value as { data: unknown }).data;
  return typeof data === "object" && data !== null && "count" in data ? (data.count as CountData).value : undefined;
}

/** Pushes a count exactly: as a number up to 2^53, as a count (arithmetic, comparison, text) beyond. */
export function pushCount(L: LuaState, n: bigint | number): void {
  if (typeof n === "number" || (n <= BigInt(Number.MAX_SAFE_INTEGER) && n >= -BigInt(Number.MAX_SAFE_INTEGER))) {
    pushNumber(L, Number(n));
    return;
  }
  if (n > LIMIT || n < -LIMIT) {
    lua.lua_pushnumber(L, Number(n));
    return;
  }
  (lua.lua_newuserdata(L, 0) as { count?: CountData }).count = { value: n };
  // The metatable lies in the registry under its name.
  lua.lua_getfield(L, REGISTRY, COUNT_TYPE);
  lua.lua_setmetatable(L, -2);
}

/** The exact value of a number or count; undefined for fractions and everything else. */
export function exactInteger(value: TValue | undefined): bigint | undefined {
  if (value === undefined) return undefined;
  if (value.type === INTEGER || value.type === FLOAT)
    return Number.isInteger(value.value) ? BigInt(value.value as number) : undefined;
  return asCount(value);
}

function approximate(L: LuaState, index: number): number {
  const value = argument(L, index);
  const count = asCount(value);
  return count === undefined ? lauxlib.luaL_checknumber(L, index) : Number(count);
}

function binary(exact: (a: bigint, b: bigint) => bigint | undefined, float: (a: number, b: number) => number) {
  return (L: LuaState): number => {
    const [a, b] = [exactInteger(argument(L, 1)), exactInteger(argument(L, 2))];
    const result = a === undefined || b === undefined ? undefined : exact(a, b);
    if (result === undefined) lua.lua_pushnumber(L, float(approximate(L, 1), approximate(L, 2)));
    else pushCount(L, result);
    return 1;
  };
}

function comparison(test: (a: number | bigint, b: number | bigint) => boolean): LuaFunction {
  return (L) => {
    const value = (index: number): number | bigint => exactInteger(argument(L, index)) ?? approximate(L, index);
    lua.lua_pushboolean(L, test(value(1), value(2)));
    return 1;
  };
}

const floorDiv = (a: bigint, b: bigint): bigint => a / b - (a % b !== 0n && a < 0n !== b < 0n ? 1n : 0n);

/** The metatable of counts; it lies in the registry. */
function openCounts(L: LuaState): void {
  lua.lua_newtable(L);
  setFunction(
    L,
    "__add",
    binary(
      (a, b) => a + b,
      (a, b) => a + b,
    ),
  );
  setFunction(
    L,
    "__sub",
    binary(
      (a, b) => a - b,
      (a, b) => a - b,
    ),
  );
  setFunction(
    L,
    "__mul",
    binary(
      (a, b) => a * b,
      (a, b) => a * b,
    ),
  );
  setFunction(
    L,
    "__div",
    binary(
      () => undefined,
      (a, b) => a / b,
    ),
  );
  setFunction(
    L,
    "__pow",
    binary(
      () => undefined,
      (a, b) => a ** b,
    ),
  );
  setFunction(
    L,
    "__idiv",
    binary(
      (a, b) => (b === 0n ? undefined : floorDiv(a, b)),
      (a, b) => Math.floor(a / b),
    ),
  );
  setFunction(
    L,
    "__mod",
    binary(
      (a, b) => (b === 0n ? undefined : a - floorDiv(a, b) * b),
      (a, b) => a - Math.floor(a / b) * b,
    ),
  );
  setFunction(
    L,
    "__unm",
    binary(
      (a) => -a,
      (a) => -a,
    ),
  );
  setFunction(
    L,
    "__eq",
    comparison((a, b) => a === b),
  );
  setFunction(
    L,
    "__lt",
    comparison((a, b) => a < b),
  );
  setFunction(
    L,
    "__le",
    comparison((a, b) => a <= b),
  );
  setFunction(L, "__tostring", (L) => {
    pushText(L, `${exactInteger(argument(L, 1)) ?? ""}`);
    return 1;
  });
  setFunction(L, "__concat", (L) => {
    const text = (index: number): string => {
      const count = asCount(argument(L, index));
      return count === undefined ? textOf(lauxlib.luaL_checkstring(L, index)) : `${count}`;
    };
    pushText(L, text(1) + text(2));
    return 1;
  });
  lua.lua_pushboolean(L, false);
  lua.lua_setfield(L, -2, bytesOf("__metatable"));
  lua.lua_setfield(L, REGISTRY, COUNT_TYPE);
}

/** `tonumber` that does not wrap and knows counts. */
function tonumber(L: LuaState): number {
  lauxlib.luaL_checkany(L, 1);
  const value = argument(L, 1);
  if (lua.lua_type(L, 2) > 0) {
    const base = lauxlib.luaL_checkinteger(L, 2);
    lauxlib.luaL_checktype(L, 1, T.string);
    if (base < 2 || base > 36) lauxlib.luaL_argerror(L, 2, bytesOf("base out of range"));
    const text = textOf(lauxlib.luaL_checkstring(L, 1)).trim().toLowerCase();
    const digits = /^-?[0-9a-z]+$/.test(text) ? text.replace("-", "") : undefined;
    const valid = digits !== undefined && [...digits].every((d) => Number.parseInt(d, 36) < base);
    if (valid) pushNumber(L, Number.parseInt(text, base));
    else lua.lua_pushnil(L);
    return 1;
  }
  const count = asCount(value);
  if (count !== undefined) lua.lua_pushnumber(L, Number(count));
  else if (value?.type === INTEGER || value?.type === FLOAT) lua.lua_settop(L, 1);
  else if (value?.type === STRING) {
    const number = new lobject.TValue(INTEGER, 0);
    const bytes = (value.value as TString).realstring;
    if (lobject.luaO_str2num(bytes, number) === bytes.length + 1) pushNumber(L, number.value as number);
    else lua.lua_pushnil(L);
  } else lua.lua_pushnil(L);
  return 1;
}

function abs(L: LuaState): number {
  const count = asCount(argument(L, 1));
  if (count !== undefined) pushCount(L, count < 0n ? -count : count);
  else pushNumber(L, Math.abs(lauxlib.luaL_checknumber(L, 1)));
  return 1;
}

/** Installs counts, `tonumber` and `math.abs`. */
export function openNumbers(L: LuaState): void {
  openCounts(L);
  setGlobal(L, "tonumber", tonumber);
  lua.lua_getglobal(L, bytesOf("math"));
  setFunction(L, "abs", abs);
  lua.lua_pop(L, 1);
}

/** Seconds, packets and the like: a finite number of at least `min`; `otherwise` where the argument is absent. */
export function numberArgument(L: LuaState, index: number, what: string, min: number, otherwise?: number): number {
  const value = argument(L, index);
  if ((value === undefined || value.ttisnil()) && otherwise !== undefined) return otherwise;
  if (value?.type !== INTEGER && value?.type !== FLOAT) fail(L, `${what} is a number`);
  const n = value.value as number;
  if (!Number.isFinite(n) || n < min) fail(L, `${what} is a number of at least ${min}, not ${n}`);
  return n;
}
