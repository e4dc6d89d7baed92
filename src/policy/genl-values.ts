// SPDX-License-Identifier: MIT
/* Messages of generic netlink as Lua values: a list of attributes with methods that read them by number. */
import type { GenericAnswer, GenericNews, GenericProblem, GenericReply } from "./genl.js";
import { isNumberType, NUMBERS, type NumberType, readAttributes, readNumber } from "./genl-attributes.js";
import {
  argument,
  bytesOf,
  defs,
  fail,
  type LuaFunction,
  type LuaState,
  lauxlib,
  lua,
  pushNumber,
  pushText,
  setFunction,
  STRING,
  T,
  TABLE,
  type Table,
  type TString,
} from "./lua.js";
import { pushCount } from "./numbers.js";
import { pushPlain, setField } from "./plain.js";
import { pushBytes } from "./strings.js";

const LIST_TYPE = bytesOf("xdpctl.attributes");
const PROBLEM_TYPE = bytesOf("xdpctl.problem");
const REGISTRY = defs.LUA_REGISTRYINDEX;
const NUMBER_SIZES: Record<number, { unsigned: NumberType; signed: NumberType }> = {
  1: { unsigned: "u8", signed: "s8" },
  2: { unsigned: "u16", signed: "s16" },
  4: { unsigned: "u32", signed: "s32" },
  8: { unsigned: "u64", signed: "s64" },
};

/** Pushes the attributes in `bytes`: `{ { number = 1, data = "…" }, … }` with methods. */
export function pushAttributes(L: LuaState, bytes: Uint8Array): void {
  lauxlib.luaL_checkstack(L, 6, "attributes nest too deeply");
  lua.lua_newtable(L);
  for (const [i, { number, data }] of readAttributes(bytes).entries()) {
    pushNumber(L, i + 1);
    lua.lua_newtable(L);
    setField(L, "number", number);
    pushBytes(L, data);
    lua.lua_setfield(L, -2, bytesOf("data"));
    lua.lua_rawset(L, -3);
  }
  lua.lua_getfield(L, REGISTRY, LIST_TYPE);
  lua.lua_setmetatable(L, -2);
}

function setAttributes(L: LuaState, { command, version, payload }: GenericReply): void {
  setField(L, "command", command);
  setField(L, "version", version);
  pushAttributes(L, payload);
  lua.lua_setfield(L, -2, bytesOf("attributes"));
}

export function pushEvent(L: LuaState, news: Extract<GenericNews, { type: "message" }>): void {
  lua.lua_newtable(L);
  setField(L, "family", news.family);
  setField(L, "group", news.group);
  lua.lua_pushnumber(L, news.time);
  lua.lua_setfield(L, -2, bytesOf("time"));
  setAttributes(L, news);
}

function pushReplies(L: LuaState, replies: readonly GenericReply[]): void {
  lua.lua_newtable(L);
  for (const [i, reply] of replies.entries()) {
    pushNumber(L, i + 1);
    lua.lua_newtable(L);
    setAttributes(L, reply);
    lua.lua_rawset(L, -3);
  }
}

/** A table with the parts of an error, which prints as its message. */
function pushProblem(L: LuaState, problem: GenericProblem): void {
  pushPlain(L, { ...problem });
  lua.lua_getfield(L, REGISTRY, PROBLEM_TYPE);
  lua.lua_setmetatable(L, -2);
}

/** What the function that asked is called with: the answer, or nil and the problem. */
export function answerArguments(answer: GenericAnswer): readonly unknown[] {
  if ("problem" in answer) return [undefined, (L: LuaState) => pushProblem(L, answer.problem)];
  if ("families" in answer) return [answer.families];
  return [(L: LuaState) => pushReplies(L, answer.replies)];
}

/** The data of the attributes with a number, in their order. */
function dataOf(L: LuaState, number: number): Uint8Array[] {
  const list = argument(L, 1);
  if (list?.type !== TABLE) return fail(L, "call it with a colon: attributes:u32(1)");
  const { strong } = list.value as Table;
  const found: Uint8Array[] = [];
  for (let i = 1; i <= strong.size; i++) {
    const entry = strong.get(i)?.value;
    if (entry?.type !== TABLE) continue;
    const fields = (entry.value as Table).strong;
    const data = fields.get("|data")?.value;
    if (fields.get("|number")?.value.value === number && data?.type === STRING)
      found.push((data.value as TString).realstring);
  }
  return found;
}

function first(L: LuaState): { number: number; data: Uint8Array | undefined } {
  const number = lauxlib.luaL_checkinteger(L, 2);
  return { number, data: dataOf(L, number)[0] };
}

function untilNul(data: Uint8Array): Uint8Array {
  const end = data.indexOf(0);
  return end < 0 ? data : data.subarray(0, end);
}

/** A method that reads the first attribute of a number; nil where there is none. */
function method(push: (L: LuaState, data: Uint8Array, number: number) => void): LuaFunction {
  return (L) => {
    const { number, data } = first(L);
    if (data === undefined) lua.lua_pushnil(L);
    else push(L, data, number);
    return 1;
  };
}

const sized = (signed: boolean): LuaFunction =>
  method((L, data, number) => {
    const type = NUMBER_SIZES[data.length]?.[signed ? "signed" : "unsigned"];
    if (type === undefined) return fail(L, `attribute ${number} has ${data.length} bytes: that is no number`);
    pushCount(L, readNumber(type, data));
  });

function setMethods(L: LuaState): void {
  for (const [type, { size }] of Object.entries(NUMBERS)) {
    const read = method((L, data, number) => {
      if (data.length !== size) fail(L, `attribute ${number} has ${data.length} bytes, not the ${size} of ${type}`);
      pushCount(L, readNumber(type as NumberType, data));
    });
    setFunction(L, type, read);
  }
  setFunction(L, "uint", sized(false));
  setFunction(L, "sint", sized(true));
  setFunction(
    L,
    "string",
    method((L, data) => pushBytes(L, untilNul(data))),
  );
  setFunction(L, "bytes", method(pushBytes));
  setFunction(L, "nested", method(pushAttributes));
  setFunction(L, "has", (L) => {
    lua.lua_pushboolean(L, first(L).data !== undefined);
    return 1;
  });
  setFunction(L, "all", (L) => {
    const found = dataOf(L, lauxlib.luaL_checkinteger(L, 2));
    lua.lua_newtable(L);
    for (const [i, data] of found.entries()) {
      pushNumber(L, i + 1);
      pushBytes(L, data);
      lua.lua_rawset(L, -3);
    }
    return 1;
  });
}

/** The metatables of attribute lists and problems, in the registry. */
export function openValues(L: LuaState): void {
  lua.lua_newtable(L);
  lua.lua_newtable(L);
  setMethods(L);
  lua.lua_setfield(L, -2, bytesOf("__index"));
  lua.lua_pushboolean(L, false);
  lua.lua_setfield(L, -2, bytesOf("__metatable"));
  lua.lua_setfield(L, REGISTRY, LIST_TYPE);
  lua.lua_newtable(L);
  setFunction(L, "__tostring", (L) => {
    lua.lua_getfield(L, 1, bytesOf("message"));
    if (lua.lua_type(L, -1) !== T.string) pushText(L, "a problem");
    return 1;
  });
  lua.lua_setfield(L, REGISTRY, PROBLEM_TYPE);
}

/** `genl.u32(bytes [, at])`, `genl.string(bytes)`, `genl.attributes(bytes)`: for data within an attribute. */
export function setReaders(L: LuaState): void {
  for (const type of Object.keys(NUMBERS)) {
    if (!isNumberType(type)) continue;
    setFunction(L, type, (L) => {
      const bytes = lauxlib.luaL_checkstring(L, 1);
      const at = lauxlib.luaL_optinteger(L, 2, 1);
      const { size } = NUMBERS[type];
      if (at < 1 || at - 1 + size > bytes.length) fail(L, `${bytes.length} bytes hold no ${type} at ${at}`);
      pushCount(L, readNumber(type, bytes, at - 1));
      return 1;
    });
  }
  setFunction(L, "string", (L) => {
    pushBytes(L, untilNul(lauxlib.luaL_checkstring(L, 1)));
    return 1;
  });
  setFunction(L, "attributes", (L) => {
    pushAttributes(L, lauxlib.luaL_checkstring(L, 1));
    return 1;
  });
}
