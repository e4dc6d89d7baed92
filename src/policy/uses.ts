// SPDX-License-Identifier: MIT
import { API_NAMES } from "./api.js";
import {
  bytesOf,
  type LClosure,
  type LuaState,
  lauxlib,
  lopcodes,
  lua,
  type Proto,
  STRING,
  type Table,
  type TString,
  textOf,
} from "./lua.js";
import type { ScriptUse } from "./messages.js";

const { OP_GETTABUP, OP_SETTABUP } = lopcodes.OpCodesI;

/** Calls `found` for each global that code reads or writes by name. */
function globals(proto: Proto, found: (name: string, line: number, writes: boolean) => void): void {
  const env = proto.upvalues.findIndex((u) => u.name !== null && textOf(u.name.realstring) === "_ENV");
  for (const [pc, i] of proto.code.entries()) {
    const reads = i.opcode === OP_GETTABUP && i.B === env;
    const writes = i.opcode === OP_SETTABUP && i.A === env;
    if (!reads && !writes) continue;
    const operand = reads ? i.C : i.B;
    const key = operand >= 256 ? proto.k[operand - 256] : undefined;
    if (key?.type === STRING) found(textOf((key.value as TString).realstring), proto.lineinfo[pc] ?? 0, writes);
  }
  for (const inner of proto.p) globals(inner, found);
}

/** What a script that compiles uses, and which globals it reads that nobody sets. */
export function usesOf(L: LuaState, source: string): Omit<ScriptUse, "hooks"> {
  const code = bytesOf(source);
  if (lauxlib.luaL_loadbufferx(L, code, code.length, bytesOf("=check"), bytesOf("t")) !== 0) {
    lua.lua_pop(L, 1);
    return { uses: [], unknown: [] };
  }
  const { p } = (L.stack[L.top - 1] as { value: unknown }).value as LClosure;
  lua.lua_pop(L, 1);
  const read = new Map<string, number>();
  const written = new Set<string>();
  globals(p, (name, line, writes) => {
    if (writes) written.add(name);
    else if (!read.has(name)) read.set(name, line);
  });
  const G = (L.l_G.l_registry.value as Table).strong.get(2)?.value.value as Table;
  const known = new Set([...G.strong.keys()].map((key) => (typeof key === "string" ? key.slice(1) : "")));
  const listed = API_NAMES.filter((name) => read.has(name) || written.has(name));
  const unknown = [...read].filter(([name]) => !known.has(name) && !written.has(name));
  return { uses: [...listed].sort(), unknown: unknown.map(([name, line]) => ({ name, line })) };
}
