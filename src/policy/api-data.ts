// SPDX-License-Identifier: MIT
/*
 * `data`: runs of bytes whose fields have names, as XDPLua's library of that name. A packet's are a copy (`p:data()`): it
 * may be kept, and written without the packet's changing.
 */
import { didYouMean } from "../errors/index.js";
import { reserve } from "./guard.js";
import {
  argument,
  bytesOf,
  defs,
  FLOAT,
  fail,
  INTEGER,
  type LuaState,
  lauxlib,
  lobject,
  lstring,
  lua,
  pushNumber,
  STRING,
  TABLE,
  type Table,
  type TString,
  type TValue,
  textOf,
  USERDATA,
} from "./lua.js";

const TYPE = bytesOf("xdpctl.data");
const REGISTRY = defs.LUA_REGISTRYINDEX;
const MOST_BYTES = 65_536;
const MOST_BITS = 32;
const { TValue: Value } = lobject;

interface Field {
  /** From the first byte's highest bit. */
  readonly bit: number;
  readonly bits: number;
  /** Network order; else the least byte first. */
  readonly net: boolean;
}

interface Data {
  readonly bytes: Uint8Array;
  layout: ReadonlyMap<string, Field>;
}

const NONE: ReadonlyMap<string, Field> = new Map();

function dataOf(value: TValue | undefined): Data | undefined {
  if (value?.type !== USERDATA) return undefined;
  const { data } = value.value as { data: unknown };
  return typeof data === "object" && data !== null && "block" in data ? (data.block as Data) : undefined;
}

function self(L: LuaState): Data {
  return dataOf(argument(L, 1)) ?? fail(L, "call it with a colon: object:layout(…)");
}

/** Pushes an object over bytes that are its own from now on. */
export function pushData(L: LuaState, bytes: Uint8Array): number {
  (lua.lua_newuserdata(L, 0) as { block?: Data }).block = { bytes, layout: NONE };
  lua.lua_getfield(L, REGISTRY, TYPE);
  lua.lua_setmetatable(L, -2);
  return 1;
}

/** A string's or an object's bytes. */
export function payloadArgument(L: LuaState, index: number): Uint8Array {
  return dataOf(argument(L, index))?.bytes ?? lauxlib.luaL_checkstring(L, index);
}

function whole(L: LuaState, value: TValue | undefined, what: string, least: number, most: number): number {
  const n = value?.type === INTEGER || value?.type === FLOAT ? (value.value as number) : Number.NaN;
  if (!Number.isInteger(n) || n < least || n > most) fail(L, `${what} is a whole number from ${least} to ${most}`);
  return n;
}

/** `{ name = { BIT, BITS [, "net" | "host"] } }` */
function layoutArgument(L: LuaState, index: number): ReadonlyMap<string, Field> {
  const given = argument(L, index);
  if (given?.type !== TABLE) return fail(L, 'a layout is a table: { name = { BIT, BITS [, "net"] } }');
  const layout = new Map<string, Field>();
  for (const { key, value } of (given.value as Table).strong.values()) {
    if (key.type !== STRING || value.type !== TABLE) return fail(L, 'a field of a layout is { BIT, BITS [, "net"] }');
    const name = textOf((key.value as TString).realstring);
    const { strong } = value.value as Table;
    const bit = whole(L, strong.get(1)?.value, `${name}: where it begins`, 0, MOST_BYTES * 8);
    const bits = whole(L, strong.get(2)?.value, `${name}: how many bits it has`, 1, MOST_BITS);
    const order = strong.get(3)?.value;
    const text = order?.type === STRING ? textOf((order.value as TString).realstring) : "host";
    if (text !== "net" && text !== "host") fail(L, `${name}: the order is "net" or "host"`);
    if (text === "host" && bits > 8 && (bit % 8 !== 0 || bits % 8 !== 0))
      fail(L, `${name}: in host order, a field of several bytes is made of whole ones`);
    layout.set(name, { bit, bits, net: text === "net" || bits <= 8 });
  }
  return layout;
}

/** The bit of the field that counts 2^i lies at this one of the run. */
function bitAt({ bit, bits, net }: Field, i: number): number {
  if (net) return bit + bits - 1 - i;
  return bit + (i & ~7) + 7 - (i & 7);
}

function read({ bytes }: Data, field: Field): number {
  let n = 0;
  for (let i = field.bits - 1; i >= 0; i--) {
    const at = bitAt(field, i);
    n = n * 2 + (((bytes[at >>> 3] as number) >>> (7 - (at & 7))) & 1);
  }
  return n;
}

function write({ bytes }: Data, field: Field, value: number): void {
  let rest = value;
  for (let i = 0; i < field.bits; i++) {
    const at = bitAt(field, i);
    const mask = 0x80 >>> (at & 7);
    bytes[at >>> 3] = rest % 2 === 1 ? (bytes[at >>> 3] as number) | mask : (bytes[at >>> 3] as number) & ~mask;
    rest = Math.floor(rest / 2);
  }
}

function fieldOf(L: LuaState, data: Data, name: string): Field {
  const field = data.layout.get(name);
  if (field !== undefined) return field;
  return fail(L, `there is no field ${name}${didYouMean(name, [...data.layout.keys()])}: a layout names them`);
}

function index(L: LuaState): number {
  const data = self(L);
  const name = textOf(lauxlib.luaL_checkstring(L, 2));
  const method = name === "layout" ? layout : name === "segment" ? segment : undefined;
  if (method !== undefined && !data.layout.has(name)) {
    lua.lua_pushcfunction(L, method);
    return 1;
  }
  const field = fieldOf(L, data, name);
  // Bytes that are not there have no value.
  if (field.bit + field.bits > data.bytes.length * 8) lua.lua_pushnil(L);
  else pushNumber(L, read(data, field));
  return 1;
}

function newIndex(L: LuaState): number {
  const data = self(L);
  const name = textOf(lauxlib.luaL_checkstring(L, 2));
  const field = fieldOf(L, data, name);
  if (field.bit + field.bits > data.bytes.length * 8) fail(L, `${name} lies behind the end`);
  write(data, field, whole(L, argument(L, 3), name, 0, 2 ** field.bits - 1));
  return 0;
}

function layout(L: LuaState): number {
  self(L).layout = layoutArgument(L, 2);
  lua.lua_settop(L, 1);
  return 1;
}

/** The same bytes from an offset on: what is written into one is seen in the other. */
function segment(L: LuaState): number {
  const { bytes } = self(L);
  const offset = whole(L, argument(L, 2), "the offset", 0, MOST_BYTES);
  const given = argument(L, 3);
  const length =
    given === undefined || given.ttisnil() ? bytes.length - offset : whole(L, given, "the length", 0, MOST_BYTES);
  if (length < 0 || offset + length > bytes.length) {
    lua.lua_pushnil(L);
    return 1;
  }
  return pushData(L, bytes.subarray(offset, offset + length));
}

/** Installs `data`. */
export function openData(L: LuaState): void {
  lua.lua_newtable(L);
  const methods = { __index: index, __newindex: newIndex, __len: length, __tostring: toText } as const;
  for (const [name, fn] of Object.entries(methods)) {
    lua.lua_pushcfunction(L, fn);
    lua.lua_setfield(L, -2, bytesOf(name));
  }
  lua.lua_pushboolean(L, false);
  lua.lua_setfield(L, -2, bytesOf("__metatable"));
  lua.lua_setfield(L, REGISTRY, TYPE);
  lua.lua_newtable(L);
  lua.lua_pushcfunction(L, (L) => {
    const length = whole(L, argument(L, 1), "the length", 0, MOST_BYTES);
    reserve(L, length);
    return pushData(L, new Uint8Array(length));
  });
  lua.lua_setfield(L, -2, bytesOf("new"));
  lua.lua_pushcfunction(L, (L) => {
    layoutArgument(L, 1);
    lua.lua_settop(L, 1);
    return 1;
  });
  lua.lua_setfield(L, -2, bytesOf("layout"));
  lua.lua_setglobal(L, bytesOf("data"));
}

function length(L: LuaState): number {
  pushNumber(L, self(L).bytes.length);
  return 1;
}

/** The bytes as a string. */
function toText(L: LuaState): number {
  L.stack[L.top++] = new Value(STRING, lstring.luaS_bless(L, self(L).bytes.slice()));
  return 1;
}
