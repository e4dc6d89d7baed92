// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import type { LinkEvent, XdpEvent } from "../events/index.js";
import { openApi } from "./api.js";
import { explain } from "./failure.js";
import { GenericHooks } from "./genl-hooks.js";
import { armGuard, disarmGuard } from "./guard.js";
import type { Host } from "./host.js";
import {
  argument,
  bytesOf,
  FLOAT,
  INTEGER,
  type LClosure,
  LUA_CLOSURE,
  type LuaState,
  lauxlib,
  ldo,
  lobject,
  lua,
  MULTRET,
  NIL,
  pushText,
  type TValue,
} from "./lua.js";
import { hookPackets } from "./packet-arguments.js";
import type { ScriptFailure } from "./messages.js";
import type { StateDelta, StateMirror } from "./mirror.js";
import { pushPlain, shown } from "./plain.js";
import { PacketHooks } from "./packet-hooks.js";
import { PACKET_ARGUMENTS, type RecordReader } from "./records.js";
import { openSandbox } from "./sandbox.js";
import { COUNT, DURATIONS, HOOK, HOOK_NAMES, WORD } from "./shared.js";
import { State } from "./state.js";

const { TValue: Value } = lobject;

interface Handler {
  readonly fn: TValue;
  /** How many arguments it takes. */
  readonly arity: number;
}

interface Timer {
  readonly id: number;
  readonly fn: TValue;
  readonly intervalMs: number;
  dueMs: number;
}

/** Records that are handled before timers and messages have their turn. */
const BATCH = 1024;
const BATCH_MS = 5;

// An answer to a script that was replaced must find nobody: numbers are never used again.
let lastCallback = 0;

function copy(value: TValue | undefined): TValue {
  return new Value(value?.type ?? NIL, value?.value ?? null);
}

function handler(fn: TValue, most: number): Handler {
  const p = fn.type === LUA_CLOSURE ? (fn.value as LClosure).p : undefined;
  return { fn, arity: p === undefined || p.is_vararg ? most : Math.min(p.numparams, most) };
}

/** One loaded script: its Lua state, hooks, timers, and callbacks. */
export class Script {
  readonly L: LuaState;
  /** What it hears of and asks of generic netlink. */
  readonly generic: GenericHooks;
  readonly packets: PacketHooks;
  readonly #host: Host;
  readonly #state: State;
  readonly #hooks: Handler[][] = HOOK_NAMES.map(() => []);
  readonly #callbacks = new Map<number, TValue>();
  #timers: Timer[] = [];
  #nextTimer = 1;
  #calls: number;

  constructor(host: Host, mirror: StateMirror | undefined) {
    this.#host = host;
    this.#calls = host.shared.counts[COUNT.calls] ?? 0;
    this.L = openSandbox();
    this.#state = new State(this.L, mirror);
    const run = (hook: number, fn: TValue, args: readonly unknown[]): ScriptFailure | undefined => {
      this.#count();
      return this.#protect(hook, host.limits.hookMs, () => this.#call(fn, args));
    };
    this.generic = new GenericHooks(run, (text) => host.log(text));
    this.packets = new PacketHooks(host.packets, host.shared, host.limits.hookMs, () => host.packetsAnswered());
    openApi(this.L, host, this);
  }

  get hooks(): string[] {
    const names = HOOK_NAMES.filter((_, i) => i > 0 && (this.#hooks[i]?.length ?? 0) > 0) as string[];
    names.push(...this.generic.names);
    if (this.packets.filters.length > 0) names.push("packet");
    return this.#timers.length > 0 ? [...names, "every"] : names;
  }

  addHook(L: LuaState, hook: number, at: number): void {
    this.#hooks[hook]?.push(handler(copy(argument(L, at)), PACKET_ARGUMENTS));
    this.#host.hooksChanged();
  }

  addPacketHook(L: LuaState): number {
    const id = this.#nextTimer++;
    hookPackets(L, this.packets, id, copy);
    if (this.#host.kind === "interactive") this.#host.log(`packet hook ${id} (stop with \`stop ${id}\`)`);
    this.#host.hooksChanged();
    return id;
  }

  addTimer(L: LuaState, seconds: number, at: number): number {
    const id = this.#nextTimer++;
    const intervalMs = seconds * 1000;
    this.#timers.push({ id, fn: copy(argument(L, at)), intervalMs, dueMs: performance.now() + intervalMs });
    if (this.#host.kind === "interactive") this.#host.log(`timer ${id} (stop with \`stop ${id}\`)`);
    this.#host.hooksChanged();
    return id;
  }

  /** Ends a timer or a packet hook. */
  stop(id: number): boolean {
    const before = this.#timers.length;
    this.#timers = this.#timers.filter((timer) => timer.id !== id);
    const ended = this.packets.remove(id) || this.#timers.length < before;
    if (ended) this.#host.hooksChanged();
    return ended;
  }

  addCallback(L: LuaState, at: number): number {
    const id = ++lastCallback;
    const value = argument(L, at);
    if (value !== undefined && value.type !== NIL) this.#callbacks.set(id, copy(value));
    return id;
  }

  /** Compiles and runs the script itself. */
  load(source: string, name: string): ScriptFailure | undefined {
    const compiled = this.#compile(source, `@${name}`);
    if (compiled !== undefined) return compiled;
    const fn = copy(this.L.stack[this.L.top - 1]);
    lua.lua_pop(this.L, 1);
    return this.#protect(HOOK.chunk, this.#host.limits.loadMs, () => this.#call(fn, []));
  }

  #compile(source: string, name: string): ScriptFailure | undefined {
    const code = bytesOf(source);
    const status = lauxlib.luaL_loadbufferx(this.L, code, code.length, bytesOf(name), bytesOf("t"));
    return status === 0 ? undefined : explain(this.L, this.#host, HOOK.chunk, disarmGuard(), "XDPCTL_E_LUA_SYNTAX");
  }

  /** One chunk of the REPL; its values are shown. */
  run(code: string, expression: boolean): { values: string[]; failure: ScriptFailure | undefined } {
    const { L } = this;
    let failure = this.#compile(expression ? `return ${code}` : code, "=(repl)");
    if (failure !== undefined) return { values: [], failure };
    const fn = copy(L.stack[L.top - 1]);
    lua.lua_pop(L, 1);
    const values: string[] = [];
    failure = this.#protect(HOOK.chunk, Number.POSITIVE_INFINITY, (L) => {
      const base = L.top;
      L.stack[L.top++] = fn;
      lua.lua_call(L, 0, MULTRET);
      const count = L.top - base;
      for (let i = 0; i < count; i++) values.push(shown(L, L.stack[base + i]));
    });
    return { values, failure };
  }

  /** `args`: plain values, and functions that push one. */
  #call(fn: TValue, args: readonly unknown[]): void {
    const { L } = this;
    const base = L.top;
    L.stack[L.top++] = copy(fn);
    for (const value of args) {
      if (typeof value === "function") value(L);
      else pushPlain(L, value);
    }
    ldo.luaD_callnoyield(L, base, 0);
  }

  /** Runs `body` so that nothing that it does gets out of Lua; says what went wrong. */
  #protect(hook: number, ms: number, body: (L: LuaState) => void): ScriptFailure | undefined {
    const { L } = this;
    const { words } = this.#host.shared;
    const base = lua.lua_gettop(L);
    lua.lua_pushcfunction(L, traceback);
    lua.lua_pushcfunction(L, (L) => {
      body(L);
      return 0;
    });
    words[WORD.line] = 0;
    words[WORD.beat] = ((words[WORD.beat] as number) + 1) | 0;
    Atomics.store(words, WORD.hook, hook);
    armGuard(performance.now(), ms);
    const status = lua.lua_pcall(L, 0, 0, base + 1);
    const running = Atomics.exchange(words, WORD.hook, 0);
    const abort = disarmGuard();
    const failure =
      status === 0 && abort === undefined ? undefined : explain(L, this.#host, running, abort, "XDPCTL_E_LUA_RUNTIME");
    lua.lua_settop(L, base);
    return failure ?? this.#written(running);
  }

  /** Writes the rules that waited for the end of the batch. */
  #written(hook: number): ScriptFailure | undefined {
    try {
      this.#host.rules?.flush();
      return undefined;
    } catch (error) {
      const { code, message } = XdpctlError.wrap(error);
      return { code, message, line: 0, hook: HOOK_NAMES[hook] ?? "", traceback: [], times: 1 };
    }
  }

  /** Calls every handler of a hook that is not about packets. */
  #fire(hook: number, args: readonly unknown[]): ScriptFailure[] {
    const failures: ScriptFailure[] = [];
    for (const { fn } of this.#hooks[hook] ?? []) {
      this.#count();
      const failure = this.#protect(hook, this.#host.limits.hookMs, () => this.#call(fn, args));
      if (failure !== undefined) failures.push(failure);
    }
    return failures;
  }

  event(event: LinkEvent | XdpEvent): ScriptFailure[] {
    if (event.type === "link") return this.#fire(HOOK.link, [event.interface, event.action, event.up, event.carrier]);
    return this.#fire(HOOK.xdp, [event.interface, event.action, event.program, event.mode, event.id]);
  }

  exit(): ScriptFailure[] {
    return this.#fire(HOOK.exit, []);
  }

  /** The controller's answer to `load` or `unload`. */
  answer(id: number, ok: boolean, text: string): ScriptFailure | undefined {
    const fn = this.#callbacks.get(id);
    this.#callbacks.delete(id);
    if (fn === undefined) {
      this.#host.log(text);
      return undefined;
    }
    return this.#protect(HOOK.load, this.#host.limits.hookMs, () => this.#call(fn, [ok, text]));
  }

  /** Milliseconds until the next timer; Infinity without one. */
  untilTimer(now: number): number {
    let due = Number.POSITIVE_INFINITY;
    for (const timer of this.#timers) if (timer.dueMs < due) due = timer.dueMs;
    return Math.max(0, due - now);
  }

  runTimers(now: number): ScriptFailure[] {
    const failures: ScriptFailure[] = [];
    for (const timer of this.#timers) {
      if (timer.dueMs > now || !this.#timers.includes(timer)) continue;
      // A late timer is not made up for.
      timer.dueMs = Math.max(timer.dueMs + timer.intervalMs, now);
      this.#count();
      const failure = this.#protect(HOOK.every, this.#host.limits.hookMs, () => this.#call(timer.fn, []));
      if (failure !== undefined) failures.push(failure);
    }
    return failures;
  }

  #count(): number {
    this.#calls++;
    this.#host.shared.counts[COUNT.calls] = this.#calls;
    return this.#calls;
  }

  /** Answers frames that wait for packet hooks, up to a batch. */
  drainPackets(): ScriptFailure | undefined {
    if (!this.packets.pending) return undefined;
    const failure = this.#protect(HOOK.packet, this.#host.limits.hookMs, (L) => {
      this.packets.drain(L, () => this.#count());
    });
    this.packets.settle();
    return failure;
  }

  /** Handles records of the ring, up to a batch. */
  drain(reader: RecordReader): ScriptFailure | undefined {
    const { words } = this.#host.shared;
    if (Atomics.load(words, WORD.head) === words[WORD.tail]) return undefined;
    return this.#protect(HOOK.chunk, this.#host.limits.hookMs, (L) => this.#drain(L, reader));
  }

  #drain(L: LuaState, reader: RecordReader): void {
    const { words, counts, durations, capacity } = this.#host.shared;
    const hookMs = this.#host.limits.hookMs;
    const mask = capacity - 1;
    const head = Atomics.load(words, WORD.head);
    let tail = words[WORD.tail] as number;
    let calls = this.#calls;
    let before = performance.now();
    const stop = before + BATCH_MS;
    try {
      for (let i = 0; i < BATCH && tail !== head; i++) {
        const slot = tail & mask;
        const type = reader.type(slot);
        const handlers = type >= 1 && type <= 4 ? (this.#hooks[type] as Handler[]) : NONE;
        tail = (tail + 1) | 0;
        for (let h = 0; h < handlers.length; h++) {
          const { fn, arity } = handlers[h] as Handler;
          armGuard(before, hookMs);
          words[WORD.hook] = type;
          words[WORD.beat] = ((words[WORD.beat] as number) + 1) | 0;
          calls++;
          const base = L.top;
          L.stack[L.top++] = new Value(fn.type, fn.value);
          reader.push(L, slot, arity);
          // A record whose hook never returns is not read again: it is taken before the call's effects are seen.
          if (h === handlers.length - 1) Atomics.store(words, WORD.tail, tail);
          ldo.luaD_callnoyield(L, base, 0);
          const after = performance.now();
          durations[calls & (DURATIONS - 1)] = (after - before) * 1000;
          before = after;
        }
        if (handlers.length === 0) Atomics.store(words, WORD.tail, tail);
        if (before > stop) break;
      }
    } finally {
      this.#calls = calls;
      counts[COUNT.calls] = calls;
      Atomics.store(words, WORD.tail, tail);
    }
  }

  get stateChanged(): boolean {
    return this.#state.changed;
  }

  /** What changed in `state`; an error where it holds what it can't. */
  copyState(): { delta: StateDelta | undefined; failure: ScriptFailure | undefined } {
    let delta: StateDelta | undefined;
    const failure = this.#protect(HOOK.chunk, this.#host.limits.loadMs, () => {
      delta = this.#state.delta();
    });
    return { delta, failure };
  }

  /** All of `state`, for the script that takes this one's place. */
  wholeState(): StateMirror | undefined {
    let all: StateMirror | undefined;
    this.#protect(HOOK.chunk, this.#host.limits.loadMs, () => {
      all = this.#state.all();
    });
    return all;
  }

  resendState(): void {
    this.#state.resend();
  }
}

const NONE: Handler[] = [];

/** The message handler: adds where the error came from. */
function traceback(L: LuaState): number {
  const value = argument(L, 1);
  if (value?.type === INTEGER || value?.type === FLOAT || value?.ttisstring() === true)
    lauxlib.luaL_traceback(L, L, lua.lua_tostring(L, 1), 1);
  else {
    const type = Buffer.from(lauxlib.luaL_typename(L, 1)).toString();
    pushText(L, `an error that is no text (a ${type})`);
  }
  return 1;
}
