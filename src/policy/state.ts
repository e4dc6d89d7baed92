// SPDX-License-Identifier: MIT
/*
 * The table `state`, copied out as it changes. Every table that hangs on it has a number (`sid`); fengari's two functions
 * that write tables note the keys that changed, so a copy costs what changed and not what there is.
 */
import {
  BOOLEAN,
  bytesOf,
  FLOAT,
  INTEGER,
  type LuaState,
  ldebug,
  lobject,
  lstring,
  ltable,
  lua,
  NIL,
  STRING,
  TABLE,
  type Table,
  type TString,
  type TValue,
} from "./lua.js";
import type { MirrorKey, MirrorValue, StateDelta, StateMirror } from "./mirror.js";

const { TValue: Value } = lobject;
const PlainTable = ltable.Table;

ltable.luaH_new = (L) => {
  const t = new PlainTable(L);
  // Every table has the same shape, tracked or not.
  t.sid = 0;
  t.dirty = undefined;
  return t;
};

const setfrom = ltable.luaH_setfrom;
ltable.luaH_setfrom = (L, t, key, value) => {
  if (t.sid !== 0) noteWrite(L, t, key, value);
  setfrom(L, t, key, value);
};
const setint = ltable.luaH_setint;
ltable.luaH_setint = (t, key, value) => {
  // Only fengari's own constructors come here without a state to raise errors in.
  if (t.sid !== 0) note(t, key);
  setint(t, key, value);
};

let nextSid = 1;
/** Tables with a smaller number left the state, or it was counted anew. */
let epoch = 1;
let changed: Table[] = [];
/** Tables that came in since the last full copy, and how many that copy had. */
let adopted = 0;
let atFull = 0;

function note(t: Table, key: unknown): void {
  if (t.dirty === undefined) {
    t.dirty = new Set();
    changed.push(t);
  }
  t.dirty.add(key);
}

function mapKey(key: TValue): unknown {
  return key.type === STRING ? lstring.luaS_hashlongstr(key.value as TString) : key.value;
}

function refuse(L: LuaState, path: string, what: string): never {
  const message = `state${path} can't hold ${what}: state keeps numbers, strings, booleans, and tables of them`;
  return ldebug.luaG_runerror(L, bytesOf(message.replaceAll("%", "%%")));
}

function nameOf(key: TValue): string {
  const text = key.type === STRING ? Buffer.from((key.value as TString).realstring).toString() : String(key.value);
  return `[${text.slice(0, 40)}]`;
}

const KINDS = new Set([NIL, BOOLEAN, INTEGER, FLOAT, STRING, TABLE]);

function typeName(value: TValue): string {
  const base = value.type & 15;
  return base === 6 ? "a function" : base === 7 ? "a userdata" : base === 8 ? "a coroutine" : "such a value";
}

function noteWrite(L: LuaState, t: Table, key: TValue, value: TValue): void {
  if (t.sid < epoch) {
    t.sid = 0;
    return;
  }
  if (value.type === TABLE) {
    const inner = value.value as Table;
    if (inner.sid < epoch) adopt(L, inner, nameOf(key));
  } else if (!KINDS.has(value.type)) refuse(L, nameOf(key), typeName(value));
  if (key.type === NIL) return;
  if (key.type === TABLE || !KINDS.has(key.type)) refuse(L, nameOf(key), "such a key");
  note(t, mapKey(key));
}

/** Numbers a table and all below it, and notes all their keys. Raises an error, with nothing changed, on what is not plain. */
function adopt(L: LuaState, table: Table, path: string): void {
  const found = new Set<Table>();
  const queue: [Table, string][] = [[table, path]];
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    const [t, where] = next;
    if (found.has(t)) continue;
    found.add(t);
    if (t.metatable !== null) refuse(L, where, "a table with a metatable");
    for (const { key, value } of t.strong.values()) {
      if (key.type === TABLE || !KINDS.has(key.type)) refuse(L, where, "such a key");
      if (!KINDS.has(value.type)) refuse(L, where + nameOf(key), typeName(value));
      if (value.type === TABLE && (value.value as Table).sid < epoch)
        queue.push([value.value as Table, where.length > 200 ? where : where + nameOf(key)]);
    }
  }
  for (const t of found) {
    t.sid = nextSid++;
    t.dirty = new Set(t.strong.keys());
    changed.push(t);
  }
  adopted += found.size;
}

function encodeKey(key: unknown): MirrorKey {
  return typeof key === "string" ? key.slice(1) : (key as number | boolean);
}

function encode(value: TValue): MirrorValue {
  switch (value.type) {
    case STRING:
      return lstring.luaS_hashlongstr(value.value as TString).slice(1);
    case TABLE:
      return { t: (value.value as Table).sid };
    default:
      return value.value as number | boolean;
  }
}

/** The state of one script. */
export class State {
  readonly #L: LuaState;
  #root: Table;

  constructor(L: LuaState, mirror: StateMirror | undefined) {
    this.#L = L;
    changed = [];
    epoch = nextSid;
    adopted = 0;
    this.#root = mirror === undefined ? ltable.luaH_new(L) : restore(L, mirror);
    if (mirror === undefined) this.#root.sid = nextSid++;
    L.stack[L.top++] = new Value(TABLE, this.#root);
    lua.lua_setglobal(L, bytesOf("state"));
  }

  get changed(): boolean {
    return changed.length > 0 || adopted === Number.POSITIVE_INFINITY || this.#current() !== this.#root;
  }

  #current(): Table | undefined {
    // registry[LUA_RIDX_GLOBALS], without metamethods.
    const globals = (this.#L.l_G.l_registry.value as Table).strong.get(2)?.value.value as Table;
    const value = ltable.luaH_getstr(globals, STATE_NAME);
    return value.type === TABLE ? (value.value as Table) : undefined;
  }

  /** What changed since the last time, for the mirror; undefined for nothing. */
  delta(): StateDelta | undefined {
    const current = this.#current();
    let full = adopted > 2 * atFull + 1000;
    if (current !== undefined && current !== this.#root) {
      // `state = {…}`: another table from now on.
      this.#root = current;
      full = true;
    }
    if (full) this.#renumber();
    if (changed.length === 0) return undefined;
    const tables: StateDelta["tables"] = [];
    for (const t of changed) {
      const { dirty } = t;
      t.dirty = undefined;
      if (dirty === undefined || t.sid < epoch) continue;
      const entries: (MirrorKey | MirrorValue | null)[] = [];
      for (const key of dirty) {
        const entry = t.strong.get(key);
        entries.push(encodeKey(key), entry === undefined ? null : encode(entry.value));
      }
      tables.push([t.sid, entries]);
    }
    changed = [];
    return { root: this.#root.sid, full, tables };
  }

  /** Gives new numbers to what hangs on the root: tables that left it are forgotten by the mirror. */
  #renumber(): void {
    for (const t of changed) t.dirty = undefined;
    changed = [];
    epoch = nextSid;
    adopted = 0;
    try {
      adopt(this.#L, this.#root, "");
      atFull = adopted;
      adopted = 0;
    } catch (error) {
      // It is tried again with the next copy.
      this.resend();
      throw error;
    }
  }

  /** All of it, whatever was copied out before. */
  all(): StateMirror {
    this.#renumber();
    const tables: StateMirror["tables"] = new Map();
    for (const [sid, entries] of this.delta()?.tables ?? []) {
      const table = new Map<MirrorKey, MirrorValue>();
      for (let i = 0; i < entries.length; i += 2) table.set(entries[i] as MirrorKey, entries[i + 1] as MirrorValue);
      tables.set(sid, table);
    }
    return { root: this.#root.sid, tables };
  }

  /** The next copy holds everything: the mirror starts anew. */
  resend(): void {
    adopted = Number.POSITIVE_INFINITY;
  }
}

const STATE_NAME = lstring.luaS_newliteral(null, "state");

function luaString(L: LuaState, text: string): TValue {
  return new Value(STRING, lstring.luaS_bless(L, Uint8Array.from(Buffer.from(text, "latin1"))));
}

function restore(L: LuaState, mirror: StateMirror): Table {
  const made = new Map<number, Table>();
  for (const sid of mirror.tables.keys()) made.set(sid, ltable.luaH_new(L));
  const root = made.get(mirror.root) ?? ltable.luaH_new(L);
  const decode = (value: MirrorValue | MirrorKey): TValue => {
    if (typeof value === "string") return luaString(L, value);
    if (typeof value === "boolean") return new Value(BOOLEAN, value);
    if (typeof value === "number") return new Value((value | 0) === value ? INTEGER : FLOAT, value);
    return new Value(TABLE, made.get(value.t) ?? ltable.luaH_new(L));
  };
  for (const [sid, entries] of mirror.tables) {
    const t = made.get(sid) as Table;
    for (const [key, value] of entries) setfrom(L, t, decode(key), decode(value));
  }
  // The numbers start again above all that were ever given: the next copy is a full one.
  root.sid = nextSid++;
  for (const t of made.values()) t.sid = nextSid++;
  adopted = Number.POSITIVE_INFINITY;
  return root;
}
