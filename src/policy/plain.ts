// SPDX-License-Identifier: MIT
import {
  BOOLEAN,
  bytesOf,
  fail,
  FLOAT,
  INTEGER,
  type LuaState,
  lauxlib,
  lua,
  NIL,
  pushText,
  STRING,
  T,
  TABLE,
  type Table,
  type TString,
  type TValue,
  textOf,
} from "./lua.js";
import { exactInteger, pushCount } from "./numbers.js";

const DEPTH = 8;

/** A Lua value as JavaScript has it: tables with the keys 1…n are arrays, others objects; counts are bigint. */
export function plainOf(L: LuaState, value: TValue | undefined, depth = 0): unknown {
  switch (value?.type) {
    case undefined:
    case NIL:
      return undefined;
    case BOOLEAN:
    case INTEGER:
    case FLOAT:
      return value.value;
    case STRING:
      return textOf((value.value as TString).realstring);
    case TABLE: {
      if (depth >= DEPTH) fail(L, "tables nest too deeply here");
      const { strong } = value.value as Table;
      const list: unknown[] = [];
      for (let i = 1; i <= strong.size; i++) {
        const entry = strong.get(i);
        if (entry === undefined) break;
        list.push(plainOf(L, entry.value, depth + 1));
      }
      if (list.length === strong.size && list.length > 0) return list;
      const out: Record<string, unknown> = {};
      for (const { key, value: inner } of strong.values()) {
        if (key.type === STRING)
          Object.defineProperty(out, textOf((key.value as TString).realstring), {
            value: plainOf(L, inner, depth + 1),
            enumerable: true,
          });
      }
      return out;
    }
    default: {
      const count = exactInteger(value);
      if (count === undefined) fail(L, "a number, string, boolean or table is needed here");
      return count;
    }
  }
}

/** Pushes a plain value: bytes as hexadecimal text, bigint exactly. */
export function pushPlain(L: LuaState, value: unknown): void {
  lauxlib.luaL_checkstack(L, 4, "values nest too deeply");
  switch (typeof value) {
    case "boolean":
      lua.lua_pushboolean(L, value);
      return;
    case "number":
    case "bigint":
      pushCount(L, value);
      return;
    case "string":
      pushText(L, value);
      return;
    case "object":
      if (value === null) break;
      if (value instanceof Uint8Array) {
        pushText(L, Buffer.from(value).toString("hex"));
        return;
      }
      lua.lua_newtable(L);
      for (const [i, [key, inner]] of Object.entries(value).entries()) {
        if (Array.isArray(value)) pushCount(L, i + 1);
        else pushText(L, key);
        pushPlain(L, inner);
        lua.lua_rawset(L, -3);
      }
      return;
  }
  lua.lua_pushnil(L);
}

/** Pushes the lines or the text of an argument. */
export function setField(L: LuaState, name: string, value: unknown): void {
  pushPlain(L, value);
  lua.lua_setfield(L, -2, bytesOf(name));
}

const MOST = 50;

function shownKey(L: LuaState, key: TValue, depth: number): string {
  const text = shown(L, key, depth + 1, true);
  if (key.type !== STRING) return `[${text}]`;
  const name = textOf((key.value as TString).realstring);
  return /^[A-Za-z_]\w*$/.test(name) ? name : `[${text}]`;
}

/** What `__tostring` of a table says; undefined without one. */
function ownText(L: LuaState, value: TValue): string | undefined {
  L.stack[L.top++] = value;
  const has = lauxlib.luaL_getmetafield(L, -1, bytesOf("__tostring")) !== T.nil;
  if (has) lua.lua_pop(L, 1);
  const text = has ? textOf(lauxlib.luaL_tolstring(L, -1)) : undefined;
  lua.lua_pop(L, has ? 2 : 1);
  return text;
}

/** A value as the REPL shows it: strings and numbers as they are, tables with their first entries. */
export function shown(L: LuaState, value: TValue | undefined, depth = 0, nested = false): string {
  switch (value?.type) {
    case undefined:
    case NIL:
      return "nil";
    case BOOLEAN:
      return String(value.value);
    case STRING: {
      const text = textOf((value.value as TString).realstring);
      return nested ? JSON.stringify(text) : text;
    }
    case TABLE: {
      const { strong, metatable } = value.value as Table;
      if (metatable !== null && metatable !== undefined) {
        const own = ownText(L, value);
        if (own !== undefined) return own;
      }
      if (depth >= 3) return "{…}";
      const parts: string[] = [];
      let length = 0;
      for (let entry = strong.get(1); entry !== undefined && length < MOST; entry = strong.get(length + 1)) {
        length++;
        parts.push(shown(L, entry.value, depth + 1, true));
      }
      for (const { key, value: inner } of strong.values()) {
        if (parts.length >= MOST) {
          parts.push("…");
          break;
        }
        const inList = Number.isInteger(key.value) && (key.value as number) >= 1 && (key.value as number) <= length;
        if (!inList) parts.push(`${shownKey(L, key, depth)} = ${shown(L, inner, depth + 1, true)}`);
      }
      return parts.length === 0 ? "{}" : `{ ${parts.join(", ")} }`;
    }
    default: {
      // Numbers and counts; functions by their type. `__tostring` runs, as with `print`.
      L.stack[L.top++] = value as TValue;
      const text = textOf(lauxlib.luaL_tolstring(L, -1));
      lua.lua_settop(L, -3);
      return text;
    }
  }
}
