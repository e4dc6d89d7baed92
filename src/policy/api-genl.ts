// SPDX-License-Identifier: MIT
import { didYouMean } from "../errors/index.js";
import { type GenericRequest, LONGEST_REQUEST } from "./genl.js";
import { isNumberType, NUMBERS, numberBytes, writeAttribute } from "./genl-attributes.js";
import type { GenericHooks } from "./genl-hooks.js";
import { openValues, setReaders } from "./genl-values.js";
import type { Host } from "./host.js";
import {
  argument,
  BOOLEAN,
  bytesOf,
  fail,
  type LuaFunction,
  type LuaState,
  lauxlib,
  lobject,
  lua,
  NIL,
  setFunction,
  STRING,
  T,
  TABLE,
  type Table,
  textArgument,
  textOf,
  type TString,
  type TValue,
} from "./lua.js";
import { exactInteger } from "./numbers.js";

const TYPES = ["flag", ...Object.keys(NUMBERS), "string", "nul-string", "binary", "nested"];
const DEPTH = 8;
/** GENL_NAMSIZ without the NUL. */
const LONGEST_NAME = 15;
const { TValue: Value } = lobject;

const NOTHING = new Uint8Array(0);

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** The type that a value has by itself. */
function typeOf(L: LuaState, value: TValue | undefined, number: number): string {
  if (value?.type === STRING) return "nul-string";
  if (value?.type === TABLE) return "nested";
  if (value?.type === BOOLEAN) return "flag";
  if (exactInteger(value) !== undefined) return "u32";
  return fail(L, `attribute ${number} needs a value: a number, a string, true, or a list of attributes`);
}

function dataOf(L: LuaState, number: number, value: TValue | undefined, type: string, depth: number): Uint8Array {
  if (isNumberType(type)) {
    const exact = exactInteger(value);
    const bytes = exact === undefined ? undefined : numberBytes(type, exact);
    return bytes ?? fail(L, `attribute ${number}: the value is no ${type}`);
  }
  switch (type) {
    case "nul-string":
    case "string":
    case "binary": {
      if (value?.type !== STRING) return fail(L, `attribute ${number}: a string is needed`);
      const bytes = (value.value as TString).realstring;
      if (type !== "nul-string") return bytes;
      if (bytes.includes(0)) fail(L, `attribute ${number}: a NUL byte would end the string`);
      return joined([bytes, Uint8Array.of(0)]);
    }
    case "flag":
      return value?.type === BOOLEAN && value.value === true ? NOTHING : fail(L, `attribute ${number}: a flag is true`);
    case "nested":
      return attributesOf(L, value, depth + 1);
    default:
      return fail(L, `${JSON.stringify(type)} is no type of attribute${didYouMean(type, TYPES)}: ${TYPES.join(", ")}`);
  }
}

/** The bytes of `{ { NUMBER, VALUE [, TYPE] }, … }`. */
function attributesOf(L: LuaState, list: TValue | undefined, depth = 0): Uint8Array {
  if (list === undefined || list.type === NIL) return NOTHING;
  if (list.type !== TABLE) return fail(L, 'attributes are a list: { { 1, "text" }, { 2, 7, "u16" } }');
  if (depth > DEPTH) fail(L, "attributes nest too deeply");
  const { strong } = list.value as Table;
  const parts: Uint8Array[] = [];
  let size = 0;
  for (let i = 1; i <= strong.size; i++) {
    const entry = strong.get(i)?.value;
    if (entry?.type !== TABLE) return fail(L, `attribute ${i} of the list is no { NUMBER, VALUE [, TYPE] }`);
    const fields = (entry.value as Table).strong;
    const number = Number(exactInteger(fields.get(1)?.value) ?? -1n);
    if (number < 0 || number > 0x3fff) fail(L, `attribute ${i} of the list has no number from 0 to 16383`);
    const value = fields.get(2)?.value;
    const given = fields.get(3)?.value;
    if (given !== undefined && given.type !== STRING) fail(L, `attribute ${number}: a type is a string`);
    const type = given === undefined ? typeOf(L, value, number) : textOf((given.value as TString).realstring);
    const bytes = writeAttribute(number, dataOf(L, number, value, type, depth), type === "nested");
    size += bytes?.length ?? LONGEST_REQUEST;
    if (bytes === undefined || size > LONGEST_REQUEST) return fail(L, `a request has at most ${LONGEST_REQUEST} bytes`);
    parts.push(bytes);
  }
  return joined(parts);
}

/** The name of a family or group. */
function nameArgument(L: LuaState, index: number, what: string): string {
  const name = textArgument(L, index);
  const length = Buffer.byteLength(name);
  if (length < 1 || length > LONGEST_NAME || /[\0/]/.test(name)) {
    fail(L, `${JSON.stringify(name)} is no name of a ${what}: those have 1 to ${LONGEST_NAME} bytes`);
  }
  return name;
}

/** The function at `index`, kept; undefined for nothing or nil. */
function functionArgument(L: LuaState, index: number): TValue | undefined {
  if (lua.lua_type(L, index) <= T.nil) return undefined;
  lauxlib.luaL_checktype(L, index, T.function);
  const value = argument(L, index);
  return value === undefined ? undefined : new Value(value.type, value.value);
}

/** `on("genl", FAMILY, GROUP, fn [, state])`. */
export function hookGroup(L: LuaState, host: Host, hooks: GenericHooks): void {
  const name = { family: nameArgument(L, 2, "family"), group: nameArgument(L, 3, "group") };
  lauxlib.luaL_checktype(L, 4, T.function);
  const fn = functionArgument(L, 4);
  if (fn !== undefined) hooks.add(L, name, fn, functionArgument(L, 5));
  host.hooksChanged();
}

/** Installs the table `genl`. */
export function openGenl(L: LuaState, host: Host, hooks: GenericHooks): void {
  const ask = (L: LuaState, request: GenericRequest, fn: TValue | undefined): number => {
    // `policy check` asks nobody.
    if (host.kind !== "check") host.generic(hooks.open(L, fn), request);
    return 0;
  };
  const send =
    (op: "call" | "dump"): LuaFunction =>
    (L) => {
      const family = nameArgument(L, 1, "family");
      const command = lauxlib.luaL_checkinteger(L, 2);
      if (command < 0 || command > 255) fail(L, `${command} is no number of a command`);
      return ask(L, { op, family, command, body: attributesOf(L, argument(L, 3)) }, functionArgument(L, 4));
    };
  openValues(L);
  lua.lua_newtable(L);
  setFunction(L, "call", send("call"));
  setFunction(L, "dump", send("dump"));
  setFunction(L, "families", (L) => {
    lauxlib.luaL_checktype(L, 1, T.function);
    return ask(L, { op: "families" }, functionArgument(L, 1));
  });
  setReaders(L);
  lua.lua_setglobal(L, bytesOf("genl"));
}
