// SPDX-License-Identifier: MIT
import type { Filter } from "../filter.js";
import {
  ALU,
  CLASS,
  JUMP,
  loadSize,
  MEMORY,
  MODE,
  readClassic,
  RETURN_A,
  SOURCE_X,
  TXA,
  type Classic,
} from "./instructions.js";

/** Runs a filter (classic BPF) on frames, as the kernel's and libpcap's interpreters do. Nothing is allocated per frame. */
export class FilterInterpreter {
  readonly #classic: Classic;
  readonly #memory = new Int32Array(MEMORY);

  /** Throws XDPCTL_E_USAGE for what is no filter. */
  constructor(filter: Filter) {
    this.#classic = readClassic(filter);
  }

  /**
   * How many bytes of the frame are to be kept: 0 is none, the frame does not match. The frame is `bytes[start]` to
   * `bytes[end - 1]`; `length` is its length on the wire. A load beyond its end is a mismatch.
   */
  run(bytes: Uint8Array, start: number, end: number, length: number = end - start): number {
    const { code: codes, constant, jumpTrue, jumpFalse } = this.#classic;
    const memory = this.#memory;
    const size = end - start;
    let a = 0;
    let x = 0;
    for (let pc = 0; ; pc++) {
      const code = codes[pc] as number;
      const k = constant[pc] as number;
      switch (code & 7) {
        case CLASS.LD:
        case CLASS.LDX: {
          const mode = code & 0xe0;
          let value: number;
          if (mode === MODE.IMM) value = k | 0;
          else if (mode === MODE.LEN) value = length;
          else if (mode === MODE.MEM) value = memory[k] as number;
          else {
            const wide = mode === MODE.MSH ? 1 : loadSize(code);
            const offset = mode === MODE.IND ? k + (x >>> 0) : k;
            if (offset + wide > size) return 0;
            const at = start + offset;
            value = bytes[at] as number;
            if (mode === MODE.MSH) value = (value & 15) << 2;
            else if (wide >= 2) value = (value << 8) | (bytes[at + 1] as number);
            if (mode !== MODE.MSH && wide === 4)
              value = (value << 16) | ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number);
          }
          if ((code & 7) === CLASS.LD) a = value;
          else x = value;
          break;
        }
        case CLASS.ST:
          memory[k] = a;
          break;
        case CLASS.STX:
          memory[k] = x;
          break;
        case CLASS.ALU: {
          const operand = (code & SOURCE_X) === 0 ? k | 0 : x;
          const operation = code & 0xf0;
          if (operand === 0 && (operation === ALU.DIV || operation === ALU.MOD)) return 0;
          a = calculate(operation, a, operand);
          break;
        }
        case CLASS.JMP: {
          const kind = code & 0xf0;
          if (kind === JUMP.JA) pc += k;
          else
            pc += holds(kind, a, (code & SOURCE_X) === 0 ? k | 0 : x)
              ? (jumpTrue[pc] as number)
              : (jumpFalse[pc] as number);
          break;
        }
        case CLASS.RET:
          return (code & 0x18) === RETURN_A ? a >>> 0 : k;
        default:
          if ((code & TXA) === 0) x = a;
          else a = x;
      }
    }
  }

  matches(bytes: Uint8Array, start: number, end: number, length: number = end - start): boolean {
    return this.run(bytes, start, end, length) !== 0;
  }
}

/** 32 bits, unsigned, held as signed ones: these stay small integers. */
function calculate(operation: number, a: number, b: number): number {
  switch (operation) {
    case ALU.ADD:
      return (a + b) | 0;
    case ALU.SUB:
      return (a - b) | 0;
    case ALU.MUL:
      return Math.imul(a, b);
    case ALU.DIV:
      return ((a >>> 0) / (b >>> 0)) | 0;
    case ALU.MOD:
      return ((a >>> 0) % (b >>> 0)) | 0;
    case ALU.OR:
      return a | b;
    case ALU.AND:
      return a & b;
    case ALU.XOR:
      return a ^ b;
    case ALU.LSH:
      return b >>> 0 > 31 ? 0 : a << b;
    case ALU.RSH:
      return b >>> 0 > 31 ? 0 : (a >>> b) | 0;
    default:
      return -a | 0;
  }
}

function holds(kind: number, a: number, b: number): boolean {
  switch (kind) {
    case JUMP.JEQ:
      return a === b;
    case JUMP.JGT:
      return a >>> 0 > b >>> 0;
    case JUMP.JGE:
      return a >>> 0 >= b >>> 0;
    default:
      return (a & b) !== 0;
  }
}
