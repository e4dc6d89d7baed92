// SPDX-License-Identifier: MIT
import { XdpctlError } from "../../errors/index.js";

/** Registers of extended BPF; R1 to R5 are a call's arguments, R6 to R9 outlive it. */
export const R = { R0: 0, R1: 1, R2: 2, R3: 3, R4: 4, R5: 5, R6: 6, R7: 7, R8: 8, R9: 9, FP: 10 } as const;
/** Sizes of loads and stores (BPF_W, BPF_H, BPF_B). */
export const SIZE = { WORD: 0x00, HALF: 0x08, BYTE: 0x10 } as const;
/** Those that the assembler's users name; the codes are those of classic BPF. */
export const OP = { ADD: 0x00, AND: 0x50, LSH: 0x60 } as const;
/** Comparisons, unsigned. */
export const JMP = { EQ: 0x10, GT: 0x20, GE: 0x30, SET: 0x40, NE: 0x50, LT: 0xa0 } as const;

const BPF = { LDX_MEM: 0x61, ST_MEM: 0x62, STX_MEM: 0x63, ALU: 0x04, JMP: 0x05, JMP32: 0x06, ALU64: 0x07 } as const;
const SOURCE_REGISTER = 0x08;
const MOV = 0xb0;
const NEG = 0x80;
const TO_BIG_ENDIAN = 0xdc;
const JA = 0x05;
const CALL = 0x85;
const EXIT = 0x95;
const LOAD_64 = 0x18;
const PSEUDO_MAP_FD = 1;
const NOWHERE = -1;

interface Instruction {
  code: number;
  to: number;
  from: number;
  offset: number;
  immediate: number;
  /** The label that the offset leads to. */
  label: number;
}

/** Writes `struct bpf_insn`s (include/uapi/linux/bpf.h), and finds the offsets of jumps at the end. */
export class Assembler {
  readonly #instructions: Instruction[] = [];
  readonly #labels: number[] = [];

  #emit(code: number, to: number, from: number, offset: number, immediate: number, label = NOWHERE): void {
    this.#instructions.push({ code, to, from, offset, immediate, label });
  }

  /** A place to jump to, not yet known. */
  label(): number {
    return this.#labels.push(NOWHERE) - 1;
  }

  /** Whether something jumps there. */
  isTarget(label: number): boolean {
    return this.#instructions.some((one) => one.label === label);
  }

  /** The label is here. */
  place(label: number): void {
    this.#labels[label] = this.#instructions.length;
  }

  move(to: number, from: number): void {
    this.#emit(BPF.ALU64 | MOV | SOURCE_REGISTER, to, from, 0, 0);
  }

  move32(to: number, from: number): void {
    this.#emit(BPF.ALU | MOV | SOURCE_REGISTER, to, from, 0, 0);
  }

  /** The upper half becomes 0. */
  set32(to: number, value: number): void {
    this.#emit(BPF.ALU | MOV, to, 0, 0, value);
  }

  calculate(operation: number, to: number, value: number): void {
    this.#emit(BPF.ALU64 | operation, to, 0, 0, value);
  }

  calculateRegister(operation: number, to: number, from: number): void {
    this.#emit(BPF.ALU64 | operation | SOURCE_REGISTER, to, from, 0, 0);
  }

  calculate32(operation: number, to: number, value: number): void {
    this.#emit(BPF.ALU | operation, to, 0, 0, value);
  }

  calculateRegister32(operation: number, to: number, from: number): void {
    this.#emit(BPF.ALU | operation | SOURCE_REGISTER, to, from, 0, 0);
  }

  negate32(to: number): void {
    this.#emit(BPF.ALU | NEG, to, 0, 0, 0);
  }

  fromBigEndian(to: number, bits: number): void {
    this.#emit(TO_BIG_ENDIAN, to, 0, 0, bits);
  }

  load(size: number, to: number, from: number, offset: number): void {
    this.#emit(BPF.LDX_MEM | size, to, from, offset, 0);
  }

  store(size: number, to: number, offset: number, from: number): void {
    this.#emit(BPF.STX_MEM | size, to, from, offset, 0);
  }

  storeConstant(size: number, to: number, offset: number, value: number): void {
    this.#emit(BPF.ST_MEM | size, to, 0, offset, value);
  }

  /** The address of a map of this process's descriptor: two instructions. */
  loadMap(to: number, fd: number): void {
    this.#emit(LOAD_64, to, PSEUDO_MAP_FD, 0, fd);
    this.#emit(0, 0, 0, 0, 0);
  }

  jump(label: number): void {
    this.#emit(JA, 0, 0, 0, 0, label);
  }

  jumpIf(comparison: number, left: number, right: number, label: number): void {
    this.#emit(BPF.JMP | comparison, left, 0, 0, right, label);
  }

  jumpIf32(comparison: number, left: number, right: number, label: number): void {
    this.#emit(BPF.JMP32 | comparison, left, 0, 0, right, label);
  }

  jumpIfRegister(comparison: number, left: number, right: number, label: number): void {
    this.#emit(BPF.JMP | comparison | SOURCE_REGISTER, left, right, 0, 0, label);
  }

  jumpIfRegister32(comparison: number, left: number, right: number, label: number): void {
    this.#emit(BPF.JMP32 | comparison | SOURCE_REGISTER, left, right, 0, 0, label);
  }

  call(helper: number): void {
    this.#emit(CALL, 0, 0, 0, helper);
  }

  exit(): void {
    this.#emit(EXIT, 0, 0, 0, 0);
  }

  /** The instructions, 8 bytes each, little-endian. Throws XDPCTL_E_NOT_SUPPORTED where a jump is too far. */
  finish(): Uint8Array {
    const out = new Uint8Array(this.#instructions.length * 8);
    const view = new DataView(out.buffer);
    for (const [i, { code, to, from, offset, immediate, label }] of this.#instructions.entries()) {
      const distance = label === NOWHERE ? offset : (this.#labels[label] ?? NOWHERE) - i - 1;
      if (distance > 32_767 || distance < -32_768) {
        throw new XdpctlError("XDPCTL_E_NOT_SUPPORTED", "the filter is too long for a program: a jump is too far");
      }
      view.setUint8(i * 8, code);
      view.setUint8(i * 8 + 1, to | (from << 4));
      view.setInt16(i * 8 + 2, distance, true);
      view.setInt32(i * 8 + 4, immediate | 0, true);
    }
    return out;
  }
}
