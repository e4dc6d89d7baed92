// SPDX-License-Identifier: MIT
import { XdpctlError } from "../../errors/index.js";
import type { Filter } from "../filter.js";
import { Assembler, JMP, OP, R, SIZE } from "./assembler.js";
import {
  ALU,
  CLASS,
  type Classic,
  JUMP,
  loadSize,
  MEMORY,
  MODE,
  readClassic,
  RETURN_A,
  SOURCE_X,
  TXA,
} from "./instructions.js";

/** What a translated filter is joined to, by the descriptors of maps. */
export interface FilterExits {
  /** BPF_MAP_TYPE_PROG_ARRAY: where the program goes on. */
  readonly steps: number;
  /** The step for a frame that matches, and for one that does not. */
  readonly match: number;
  readonly mismatch: number;
  /** A per-CPU array: the first word of entry 0 is the verdict where a step is empty. */
  readonly note: number;
}

/** Registers that calls keep: context, data, data_end, and the accumulator A. X and the scratch memory are on the stack. */
const CONTEXT = R.R6;
const DATA = R.R7;
const END = R.R8;
const A = R.R9;
/** Offsets from the frame pointer. */
const X = -4;
const LOADED = -8;
const KEY = -12;
const memory = (k: number): number => -80 + 4 * k;

const HELPER = { MAP_LOOKUP: 1, TAIL_CALL: 12, XDP_GET_BUFF_LEN: 188, XDP_LOAD_BYTES: 189 } as const;
const XDP_ABORTED = 0;
/** What an instruction's offset holds. */
const FAR = 32_767;

const ALU_OPS = new Map<number, number>(Object.values(ALU).map((operation) => [operation, operation]));
const JUMP_OPS = new Map<number, number>([
  [JUMP.JEQ, JMP.EQ],
  [JUMP.JGT, JMP.GT],
  [JUMP.JGE, JMP.GE],
  [JUMP.JSET, JMP.SET],
]);

/**
 * Translates a filter (classic BPF) into an XDP program (extended BPF, 8 bytes an instruction), which the verifier takes:
 * loads compare with data_end, and ask bpf_xdp_load_bytes for what lies in further buffers. A load beyond the frame's end
 * is a mismatch. Linux 5.18. Throws XDPCTL_E_NOT_SUPPORTED where the filter is too long.
 */
export function translateFilter(filter: Filter, exits: FilterExits): Uint8Array {
  const classic = readClassic(filter);
  const asm = new Assembler();
  const matched = asm.label();
  const missed = asm.label();
  const at = Array.from({ length: classic.length + 1 }, () => asm.label());
  const reachable = reach(classic);
  asm.move(CONTEXT, R.R1);
  asm.load(SIZE.WORD, DATA, CONTEXT, 0);
  asm.load(SIZE.WORD, END, CONTEXT, 4);
  asm.set32(A, 0);
  asm.storeConstant(SIZE.WORD, R.FP, X, 0);
  for (let k = 0; k < MEMORY; k++) asm.storeConstant(SIZE.WORD, R.FP, memory(k), 0);

  for (let i = 0; i < classic.length; i++) {
    if (!reachable[i]) continue;
    const code = classic.code[i] as number;
    const k = classic.constant[i] as number;
    asm.place(at[i] as number);
    const kind = code & 7;
    if (kind === CLASS.LD || kind === CLASS.LDX) load(asm, code, k, missed);
    else if (kind === CLASS.ST) asm.store(SIZE.WORD, R.FP, memory(k), A);
    else if (kind === CLASS.STX) {
      asm.load(SIZE.WORD, R.R1, R.FP, X);
      asm.store(SIZE.WORD, R.FP, memory(k), R.R1);
    } else if (kind === CLASS.ALU) arithmetic(asm, code, k, missed);
    else if (kind === CLASS.JMP) {
      const target = (offset: number): number => at[i + 1 + offset] as number;
      if ((code & 0xf0) === JUMP.JA) asm.jump(target(k));
      else {
        const yes = target(classic.jumpTrue[i] as number);
        const no = target(classic.jumpFalse[i] as number);
        const operation = JUMP_OPS.get(code & 0xf0) ?? JMP.EQ;
        if ((code & SOURCE_X) === 0) asm.jumpIf32(operation, A, k, yes);
        else {
          asm.load(SIZE.WORD, R.R1, R.FP, X);
          asm.jumpIfRegister32(operation, A, R.R1, yes);
        }
        if (classic.jumpFalse[i] !== 0) asm.jump(no);
      }
    } else if (kind === CLASS.RET) {
      if ((code & 0x18) === RETURN_A) {
        asm.jumpIf32(JMP.NE, A, 0, matched);
        asm.jump(missed);
      } else asm.jump(k === 0 ? missed : matched);
    } else if ((code & TXA) === 0) asm.store(SIZE.WORD, R.FP, X, A);
    else asm.load(SIZE.WORD, A, R.FP, X);
  }
  leave(asm, exits, matched, missed);
  return asm.finish();
}

/** Which instructions can be met: the verifier refuses others. Jumps only go forward. */
function reach({ length, code, constant, jumpTrue, jumpFalse }: Classic): boolean[] {
  const met = new Array<boolean>(length).fill(false);
  met[0] = true;
  for (let i = 0; i < length; i++) {
    if (met[i] !== true) continue;
    const kind = (code[i] as number) & 7;
    if (kind === CLASS.RET) continue;
    if (kind !== CLASS.JMP) met[i + 1] = true;
    else if (((code[i] as number) & 0xf0) === JUMP.JA) met[i + 1 + (constant[i] as number)] = true;
    else for (const offset of [jumpTrue[i], jumpFalse[i]]) met[i + 1 + (offset as number)] = true;
  }
  return met;
}

/** A, or X for LDX, becomes what is loaded. */
function load(asm: Assembler, code: number, k: number, missed: number): void {
  const mode = code & 0xe0;
  const toX = (code & 7) === CLASS.LDX;
  if (mode === MODE.IMM) asm.set32(R.R1, k);
  else if (mode === MODE.MEM) asm.load(SIZE.WORD, R.R1, R.FP, memory(k));
  else if (mode === MODE.LEN) {
    asm.move(R.R1, CONTEXT);
    asm.call(HELPER.XDP_GET_BUFF_LEN);
    asm.move(R.R1, R.R0);
  } else {
    loadBytes(asm, mode === MODE.MSH ? 1 : loadSize(code), k, mode === MODE.IND, missed);
    if (mode === MODE.MSH) {
      asm.calculate32(OP.AND, R.R1, 15);
      asm.calculate32(OP.LSH, R.R1, 2);
    }
  }
  if (toX) asm.store(SIZE.WORD, R.FP, X, R.R1);
  else asm.move32(A, R.R1);
}

/** R1 = the frame's bytes at `k`, or at `k` + X, in host order. */
function loadBytes(asm: Assembler, size: number, k: number, indexed: boolean, missed: number): void {
  const width = size === 4 ? SIZE.WORD : size === 2 ? SIZE.HALF : SIZE.BYTE;
  const slow = asm.label();
  const loaded = asm.label();
  const near = !indexed && k + size <= FAR;
  if (near) {
    asm.move(R.R2, DATA);
    asm.calculate(OP.ADD, R.R2, k + size);
    asm.jumpIfRegister(JMP.GT, R.R2, END, slow);
    asm.load(width, R.R1, DATA, k);
    asm.jump(loaded);
  }
  asm.place(slow);
  asm.set32(R.R2, k);
  if (indexed) {
    // A sum of more than 32 bits is beyond any frame: like libpcap's, these offsets do not wrap.
    asm.load(SIZE.WORD, R.R1, R.FP, X);
    asm.calculateRegister(OP.ADD, R.R2, R.R1);
  }
  asm.jumpIf(JMP.GT, R.R2, 0x0fff_ffff, missed);
  asm.move(R.R1, CONTEXT);
  asm.move(R.R3, R.FP);
  asm.calculate(OP.ADD, R.R3, LOADED);
  asm.set32(R.R4, size);
  asm.call(HELPER.XDP_LOAD_BYTES);
  asm.jumpIf(JMP.NE, R.R0, 0, missed);
  asm.load(width, R.R1, R.FP, LOADED);
  asm.place(loaded);
  if (size > 1) asm.fromBigEndian(R.R1, size * 8);
}

function arithmetic(asm: Assembler, code: number, k: number, missed: number): void {
  const operation = code & 0xf0;
  const divides = operation === ALU.DIV || operation === ALU.MOD;
  const shifts = operation === ALU.LSH || operation === ALU.RSH;
  const eBpf = ALU_OPS.get(operation);
  if (eBpf === undefined)
    throw new XdpctlError("XDPCTL_E_NOT_SUPPORTED", `the filter has an unknown operation ${code}`);
  if (operation === ALU.NEG) {
    asm.negate32(A);
    return;
  }
  if ((code & SOURCE_X) === 0) {
    if (divides && k === 0) asm.jump(missed);
    else if (shifts && k > 31) asm.set32(A, 0);
    else asm.calculate32(eBpf, A, k);
    return;
  }
  asm.load(SIZE.WORD, R.R1, R.FP, X);
  if (divides) asm.jumpIf32(JMP.EQ, R.R1, 0, missed);
  const done = asm.label();
  if (shifts) {
    const small = asm.label();
    asm.jumpIf32(JMP.LT, R.R1, 32, small);
    asm.set32(A, 0);
    asm.jump(done);
    asm.place(small);
  }
  asm.calculateRegister32(eBpf, A, R.R1);
  asm.place(done);
}

/** The two ends. An empty step falls through to the noted verdict. */
function leave(asm: Assembler, exits: FilterExits, matched: number, missed: number): void {
  const end = asm.label();
  for (const [label, step] of [
    [matched, exits.match],
    [missed, exits.mismatch],
  ] as const) {
    // The verifier refuses what can't be reached.
    if (!asm.isTarget(label)) continue;
    asm.place(label);
    asm.move(R.R1, CONTEXT);
    asm.loadMap(R.R2, exits.steps);
    asm.set32(R.R3, step);
    asm.call(HELPER.TAIL_CALL);
    if (label === matched && asm.isTarget(missed)) asm.jump(end);
  }
  asm.place(end);
  asm.storeConstant(SIZE.WORD, R.FP, KEY, 0);
  asm.loadMap(R.R1, exits.note);
  asm.move(R.R2, R.FP);
  asm.calculate(OP.ADD, R.R2, KEY);
  asm.call(HELPER.MAP_LOOKUP);
  const there = asm.label();
  asm.jumpIf(JMP.NE, R.R0, 0, there);
  asm.set32(R.R0, XDP_ABORTED);
  asm.exit();
  asm.place(there);
  // struct capture_note: the verdict is behind the time.
  asm.load(SIZE.WORD, R.R0, R.R0, 8);
  asm.exit();
}
