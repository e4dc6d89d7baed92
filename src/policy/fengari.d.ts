// SPDX-License-Identifier: MIT
/** What the policy room uses of fengari 0.1.5, inner modules included: the package has no types of its own. */

declare module "fengari/src/lobject.js" {
  import type { TString } from "fengari/src/lstring.js";
  import type { Table } from "fengari/src/ltable.js";

  export interface TValue {
    type: number;
    value: unknown;
    ttisstring(): boolean;
    ttisnil(): boolean;
  }
  export interface Proto {
    source: TString | null;
    linedefined: number;
    k: TValue[];
    p: Proto[];
    code: Instruction[];
    lineinfo: number[];
    numparams: number;
    is_vararg: boolean;
    upvalues: { name: TString | null; instack: boolean; idx: number }[];
  }
  export interface Instruction {
    opcode: number;
    A: number;
    B: number;
    C: number;
    Bx: number;
  }
  export interface LClosure {
    p: Proto;
  }
  export interface Udata {
    metatable: Table | null;
    data: unknown;
  }
  interface Module {
    TValue: new (type: number, value: unknown) => TValue;
    LClosure: new (...args: never[]) => LClosure;
    Udata: new (...args: never[]) => Udata;
    luaO_chunkid(source: Uint8Array, length: number): Uint8Array;
    luaO_str2num(s: Uint8Array, o: TValue): number;
    luaO_arith(L: unknown, op: number, p1: TValue, p2: TValue, p3: TValue): void;
  }
  const lobject: Module;
  export default lobject;
}

declare module "fengari/src/lstring.js" {
  export interface TString {
    /** A key of JavaScript's Map, made at its first use. */
    hash: string | null;
    realstring: Uint8Array;
    /** Ours: what the string means as an address block, parsed once. */
    cidr?: unknown;
  }
  interface Module {
    TString: new (L: unknown, bytes: Uint8Array) => TString;
    luaS_bless(L: unknown, bytes: Uint8Array): TString;
    luaS_new(L: unknown, bytes: Uint8Array): TString;
    luaS_newliteral(L: unknown, text: string): TString;
    luaS_hash(bytes: Uint8Array): string;
    luaS_hashlongstr(ts: TString): string;
    luaS_eqlngstr(a: TString, b: TString): boolean;
  }
  const lstring: Module;
  export default lstring;
}

declare module "fengari/src/ltable.js" {
  import type { TValue } from "fengari/src/lobject.js";
  import type { LuaState } from "fengari/src/lstate.js";

  export interface TableEntry {
    key: TValue;
    value: TValue;
    n: TableEntry | undefined;
  }
  export interface Table {
    strong: Map<unknown, TableEntry>;
    f: TableEntry | undefined;
    metatable: Table | null;
    /** Ours: the number under which `state` knows this table; 0 outside of it. */
    sid: number;
    /** Ours: the keys that changed since the state was copied out. */
    dirty: Set<unknown> | undefined;
  }
  interface Module {
    Table: new (L: LuaState) => Table;
    luaH_new(L: LuaState): Table;
    luaH_setfrom(L: LuaState, t: Table, key: TValue, value: TValue): void;
    luaH_setint(t: Table, key: number, value: TValue): void;
    luaH_getstr(t: Table, key: unknown): TValue;
  }
  const ltable: Module;
  export default ltable;
}

declare module "fengari/src/lstate.js" {
  import type { Instruction, TValue } from "fengari/src/lobject.js";

  export interface CallInfo {
    func: TValue;
    funcOff: number;
    top: number;
    previous: CallInfo | null;
    callstatus: number;
    l_base: number;
    l_code: Instruction[];
    l_savedpc: number;
  }
  export interface LuaState {
    stack: TValue[];
    top: number;
    ci: CallInfo;
    hookmask: number;
    l_G: { mainthread: LuaState; l_registry: TValue };
  }
  interface Module {
    CIST_LUA: number;
  }
  const lstate: Module;
  export default lstate;
}

declare module "fengari/src/ldebug.js" {
  import type { LuaState } from "fengari/src/lstate.js";
  interface Module {
    luaG_traceexec(L: LuaState): void;
    luaG_runerror(L: LuaState, format: Uint8Array, ...values: unknown[]): never;
  }
  const ldebug: Module;
  export default ldebug;
}

declare module "fengari/src/ldo.js" {
  import type { LuaState } from "fengari/src/lstate.js";
  interface Module {
    luaD_callnoyield(L: LuaState, func: number, results: number): void;
  }
  const ldo: Module;
  export default ldo;
}

declare module "fengari/src/lopcodes.js" {
  interface Module {
    OpCodesI: Record<string, number>;
  }
  const lopcodes: Module;
  export default lopcodes;
}

declare module "fengari/src/luaconf.js" {
  interface Module {
    LUA_COMPAT_FLOATSTRING: boolean;
    LUAI_MAXSTACK: number;
    lua_number2str(n: number): string;
  }
  const luaconf: Module;
  export default luaconf;
}

declare module "fengari/src/defs.js" {
  interface Module {
    constant_types: Record<string, number>;
    LUA_MASKCOUNT: number;
    LUA_REGISTRYINDEX: number;
  }
  const defs: Module;
  export default defs;
}

declare module "fengari/src/lua.js" {
  import type { LuaState } from "fengari/src/lstate.js";
  export type LuaFunction = (L: LuaState) => number;
  interface Module {
    lua_atnativeerror(L: LuaState, handler: LuaFunction): void;
    lua_call(L: LuaState, args: number, results: number): void;
    lua_checkstack(L: LuaState, n: number): boolean;
    lua_concat(L: LuaState, n: number): void;
    lua_createtable(L: LuaState, array: number, hash: number): void;
    lua_error(L: LuaState): never;
    lua_geti(L: LuaState, index: number, n: number): number;
    lua_getfield(L: LuaState, index: number, key: Uint8Array): number;
    lua_getglobal(L: LuaState, name: Uint8Array): number;
    lua_getmetatable(L: LuaState, index: number): boolean;
    lua_gettable(L: LuaState, index: number): number;
    lua_gettop(L: LuaState): number;
    lua_insert(L: LuaState, index: number): void;
    lua_isinteger(L: LuaState, index: number): boolean;
    lua_newtable(L: LuaState): void;
    lua_newuserdata(L: LuaState, size: number): { value?: unknown };
    lua_next(L: LuaState, index: number): number;
    lua_pcall(L: LuaState, args: number, results: number, handler: number): number;
    lua_pop(L: LuaState, n: number): void;
    lua_pushboolean(L: LuaState, value: boolean | number): void;
    lua_pushcfunction(L: LuaState, fn: LuaFunction): void;
    lua_pushinteger(L: LuaState, n: number): void;
    lua_pushnil(L: LuaState): void;
    lua_pushnumber(L: LuaState, n: number): void;
    lua_pushstring(L: LuaState, s: Uint8Array): Uint8Array;
    lua_pushvalue(L: LuaState, index: number): void;
    lua_rawget(L: LuaState, index: number): number;
    lua_rawset(L: LuaState, index: number): void;
    lua_remove(L: LuaState, index: number): void;
    lua_setfield(L: LuaState, index: number, key: Uint8Array): void;
    lua_setglobal(L: LuaState, name: Uint8Array): void;
    lua_setmetatable(L: LuaState, index: number): void;
    lua_settop(L: LuaState, index: number): void;
    lua_toboolean(L: LuaState, index: number): boolean;
    lua_tostring(L: LuaState, index: number): Uint8Array | null;
    lua_touserdata(L: LuaState, index: number): unknown;
    lua_type(L: LuaState, index: number): number;
    lua_upvalueindex(n: number): number;
    lua_pushcclosure(L: LuaState, fn: LuaFunction, n: number): void;
  }
  const lua: Module;
  export default lua;
}

declare module "fengari/src/lauxlib.js" {
  import type { LuaState } from "fengari/src/lstate.js";
  import type { LuaFunction } from "fengari/src/lua.js";
  interface Module {
    luaL_argerror(L: LuaState, arg: number, message: Uint8Array): never;
    luaL_checkany(L: LuaState, arg: number): void;
    luaL_checkinteger(L: LuaState, arg: number): number;
    luaL_checknumber(L: LuaState, arg: number): number;
    luaL_checkstring(L: LuaState, arg: number): Uint8Array;
    luaL_checktype(L: LuaState, arg: number, type: number): void;
    luaL_checkstack(L: LuaState, n: number, message: string): void;
    luaL_error(L: LuaState, format: Uint8Array, ...values: unknown[]): never;
    luaL_getmetafield(L: LuaState, index: number, name: Uint8Array): number;
    luaL_len(L: LuaState, index: number): number;
    luaL_loadbufferx(L: LuaState, code: Uint8Array, size: number, name: Uint8Array, mode: Uint8Array): number;
    luaL_newstate(): LuaState | null;
    luaL_optinteger(L: LuaState, arg: number, otherwise: number): number;
    luaL_requiref(L: LuaState, name: Uint8Array, open: LuaFunction, global: boolean): void;
    luaL_tolstring(L: LuaState, index: number): Uint8Array;
    luaL_traceback(L: LuaState, L1: LuaState, message: Uint8Array | null, level: number): void;
    luaL_where(L: LuaState, level: number): void;
    luaL_typename(L: LuaState, index: number): Uint8Array;
  }
  const lauxlib: Module;
  export default lauxlib;
}

declare module "fengari/src/lbaselib.js" {
  import type { LuaFunction } from "fengari/src/lua.js";
  const lib: { luaopen_base: LuaFunction };
  export default lib;
}
declare module "fengari/src/lstrlib.js" {
  import type { LuaFunction } from "fengari/src/lua.js";
  const lib: { luaopen_string: LuaFunction };
  export default lib;
}
declare module "fengari/src/ltablib.js" {
  import type { LuaFunction } from "fengari/src/lua.js";
  const lib: { luaopen_table: LuaFunction };
  export default lib;
}
declare module "fengari/src/lmathlib.js" {
  import type { LuaFunction } from "fengari/src/lua.js";
  const lib: { luaopen_math: LuaFunction };
  export default lib;
}
declare module "fengari/src/lutf8lib.js" {
  import type { LuaFunction } from "fengari/src/lua.js";
  const lib: { luaopen_utf8: LuaFunction };
  export default lib;
}
declare module "fengari/src/lcorolib.js" {
  import type { LuaFunction } from "fengari/src/lua.js";
  const lib: { luaopen_coroutine: LuaFunction };
  export default lib;
}
