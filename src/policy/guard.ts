// SPDX-License-Identifier: MIT
/*
 * The limits that a running script can't escape: fengari calls `trace` before each instruction. It stops what runs too
 * long or holds too much, keeps the line for the watchdog, and turns 32-bit integers into floats before they would wrap.
 */
import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import {
  bytesOf,
  FLOAT,
  INTEGER,
  type LClosure,
  type LuaState,
  ldebug,
  lopcodes,
  lstate,
  STRING,
  type TString,
  type TValue,
} from "./lua.js";
import { allocated } from "./lua-strings.js";
import { WORD } from "./shared.js";

export type AbortKind = "timeout" | "memory" | "interrupt";

/** Thrown through Lua: no `pcall` keeps it, because every instruction after it throws it again. */
export class Abort extends Error {
  constructor(
    readonly kind: AbortKind,
    message: string,
    readonly line: number,
  ) {
    super(message);
  }
}

/** Instructions between two looks at the clock: about 0.1 ms. */
const STRIDE = 1000;
/** The heap is measured at least every so many looks… */
const LOOKS = 40;
/** …and whenever so many bytes of strings were made. */
const MEASURE_BYTES = 2 << 20;
/** Garbage may wait for V8's own collection up to this far above the limit. */
const SLACK = 16 << 20;

const MIB = 1 << 20;
const { OP_ADD, OP_SUB, OP_MUL, OP_IDIV, OP_UNM, OP_SHL, OP_FORLOOP, OP_CONCAT, OP_CALL, OP_TAILCALL, OP_TFORCALL } =
  lopcodes.OpCodesI;
const CONSTANT = 256;
const { CIST_LUA } = lstate;

let ticks = STRIDE;
let looks = 0;
let deadline = Number.POSITIVE_INFINITY;
let limitMs = 0;
let aborted: Abort | undefined;
let words: Int32Array = new Int32Array(16);
let memoryLimit = 64 * MIB;
let baseline = 0;
let measureAbove = 0;

/** Once for a worker: the words that it shares with the controller, and how much it may hold above what it holds now. */
export function configureGuard(shared: Int32Array, memoryBytes: number): void {
  words = shared;
  memoryLimit = memoryBytes;
  baseline = held();
  measureAbove = memoryLimit;
}

/** The longest single string: a quarter of the limit. */
export function maxString(): number {
  return Math.min(memoryLimit / 4, 16 * MIB);
}

/** Starts the clock of a call that may take `ms`; `now` is performance.now(). */
export function armGuard(now: number, ms: number): void {
  deadline = now + ms;
  limitMs = ms;
}

/** Ends a call: the abort that stopped it, if one did. */
export function disarmGuard(): Abort | undefined {
  const what = aborted;
  aborted = undefined;
  deadline = Number.POSITIVE_INFINITY;
  ticks = STRIDE;
  return what;
}

export function abortPending(): Abort | undefined {
  return aborted;
}

/** After a function that may have caught it: the abort goes on. */
export function rethrowAbort(): void {
  if (aborted !== undefined) throw aborted;
}

/** Bytes on this worker's heap and in its buffers. */
function held(): number {
  const heap = getHeapStatistics();
  return heap.used_heap_size + heap.external_memory;
}

let collect: (() => void) | undefined;

function collectGarbage(): void {
  if (collect === undefined) {
    setFlagsFromString("--expose-gc");
    collect = runInNewContext("gc") as () => void;
  }
  collect();
}

/** Bytes that the script holds, garbage included. */
export function memoryInUse(): number {
  return Math.max(0, held() - baseline);
}

function abort(L: LuaState, kind: AbortKind, message: string): never {
  aborted = new Abort(kind, message, currentLine(L));
  ticks = 0;
  throw aborted;
}

/** Stops the script for memory; for allocations that are refused before they are made. */
export function outOfMemory(L: LuaState): never {
  return abort(L, "memory", `held more than ${memoryLimit / MIB} MiB`);
}

function measure(L: LuaState): void {
  looks = 0;
  allocated.bytes = 0;
  if (held() - baseline <= measureAbove) return;
  const before = performance.now();
  collectGarbage();
  // Buffers are freed in the background: the next collection waits for that.
  if (held() - baseline > memoryLimit) collectGarbage();
  const live = held() - baseline;
  // The script did not ask for the collection: its clock stands still meanwhile.
  deadline += performance.now() - before;
  if (live > memoryLimit) outOfMemory(L);
  measureAbove = Math.max(memoryLimit, live + SLACK);
}

/** A look at the clock and the memory. Functions with loops of their own call it, too. */
export function look(L: LuaState): void {
  if (aborted !== undefined) {
    ticks = 0;
    throw aborted;
  }
  ticks = STRIDE;
  if (performance.now() > deadline) abort(L, "timeout", `ran longer than ${limitMs} ms`);
  if (Atomics.load(words, WORD.interrupt) !== 0) abort(L, "interrupt", "interrupted");
  if (++looks >= LOOKS || allocated.bytes > MEASURE_BYTES) measure(L);
}

/** Before making `bytes` at once: no single allocation may pass the limit. */
export function reserve(L: LuaState, bytes: number): void {
  if (bytes > maxString())
    ldebug.luaG_runerror(L, bytesOf(`a string of ${Math.round(bytes)} bytes: the limit is ${maxString()}`));
  if (bytes > MEASURE_BYTES) {
    allocated.bytes += bytes;
    look(L);
  }
}

/** The line of the innermost Lua function that runs; 0 without one. */
export function currentLine(L: LuaState): number {
  for (let ci: LuaState["ci"] | null = L.ci; ci !== null; ci = ci.previous) {
    if ((ci.callstatus & CIST_LUA) !== 0) return (ci.func.value as LClosure).p.lineinfo[ci.l_savedpc - 1] ?? 0;
  }
  return 0;
}

function concatLength(stack: TValue[], from: number, to: number): number {
  let sum = 0;
  for (let i = from; i <= to; i++) {
    const value = stack[i];
    if (value?.type === STRING) sum += (value.value as TString).realstring.length;
  }
  return sum;
}

function trace(L: LuaState): void {
  if (--ticks <= 0) look(L);
  const { ci } = L;
  const i = ci.l_code[ci.l_savedpc - 1] as (typeof ci.l_code)[number];
  switch (i.opcode) {
    case OP_CALL:
    case OP_TAILCALL:
    case OP_TFORCALL:
      words[WORD.line] = (ci.func.value as LClosure).p.lineinfo[ci.l_savedpc - 1] as number;
      return;
    case OP_ADD:
    case OP_SUB:
    case OP_MUL:
    case OP_IDIV:
    case OP_SHL: {
      const { k } = (ci.func.value as LClosure).p;
      const b = (i.B >= CONSTANT ? k[i.B - CONSTANT] : L.stack[ci.l_base + i.B]) as TValue;
      if (b.type !== INTEGER) return;
      const c = (i.C >= CONSTANT ? k[i.C - CONSTANT] : L.stack[ci.l_base + i.C]) as TValue;
      if (c.type !== INTEGER) return;
      if (!overflows(i.opcode, b.value as number, c.value as number)) return;
      if (i.opcode === OP_SHL) ldebug.luaG_runerror(L, bytesOf(`${b.value} << ${c.value} does not fit into 32 bits`));
      // A constant is never changed; one of the two is in a register, or the compiler had folded them.
      (i.B < CONSTANT ? b : c).type = FLOAT;
      return;
    }
    case OP_UNM: {
      const value = L.stack[ci.l_base + i.B] as TValue;
      if (value.type === INTEGER && value.value === -2147483648) value.type = FLOAT;
      return;
    }
    case OP_FORLOOP: {
      const at = ci.l_base + i.A;
      const index = L.stack[at] as TValue;
      if (index.type !== INTEGER) return;
      const step = L.stack[at + 2] as TValue;
      const next = (index.value as number) + (step.value as number);
      if ((next | 0) === next) return;
      index.type = FLOAT;
      step.type = FLOAT;
      (L.stack[at + 1] as TValue).type = FLOAT;
      return;
    }
    case OP_CONCAT:
      reserve(L, concatLength(L.stack, ci.l_base + i.B, ci.l_base + i.C));
      return;
  }
}

function overflows(opcode: number, b: number, c: number): boolean {
  let exact: number;
  switch (opcode) {
    case OP_ADD:
      exact = b + c;
      break;
    case OP_SUB:
      exact = b - c;
      break;
    case OP_MUL:
      exact = b * c;
      break;
    case OP_IDIV:
      return b === -2147483648 && c === -1;
    default:
      return c > 0 && b !== 0 && Math.abs(b) * 2 ** c > 0x7fffffff;
  }
  return (exact | 0) !== exact;
}

ldebug.luaG_traceexec = trace;
