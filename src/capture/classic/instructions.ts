// SPDX-License-Identifier: MIT
import { XdpctlError } from "../../errors/index.js";
import type { Filter } from "../filter.js";

/** Classic BPF: include/uapi/linux/bpf_common.h, Documentation/networking/filter.rst. */
export const CLASS = { LD: 0, LDX: 1, ST: 2, STX: 3, ALU: 4, JMP: 5, RET: 6, MISC: 7 } as const;
export const MODE = { IMM: 0x00, ABS: 0x20, IND: 0x40, MEM: 0x60, LEN: 0x80, MSH: 0xa0 } as const;
export const ALU = {
  ADD: 0x00,
  SUB: 0x10,
  MUL: 0x20,
  DIV: 0x30,
  OR: 0x40,
  AND: 0x50,
  LSH: 0x60,
  RSH: 0x70,
  NEG: 0x80,
  MOD: 0x90,
  XOR: 0xa0,
} as const;
export const JUMP = { JA: 0x00, JEQ: 0x10, JGT: 0x20, JGE: 0x30, JSET: 0x40 } as const;
/** The operand is X, not the constant. */
export const SOURCE_X = 0x08;
/** RET: the answer is A, not the constant. */
export const RETURN_A = 0x10;
/** MISC: A = X; else X = A. */
export const TXA = 0x80;
/** Words of scratch memory. */
export const MEMORY = 16;

const SIZES = [4, 2, 1];
const INSTRUCTION = 8;

/** A program, an array for each field of `struct sock_filter`. */
export interface Classic {
  readonly length: number;
  readonly code: Uint16Array;
  readonly jumpTrue: Uint8Array;
  readonly jumpFalse: Uint8Array;
  readonly constant: Uint32Array;
}

/** Bytes that a load of this code reads: 4, 2 or 1. */
export function loadSize(code: number): number {
  return SIZES[(code >> 3) & 3] ?? 1;
}

/**
 * Reads a filter, and checks that it can't leave itself: jumps go forward to an instruction, memory is inside, the last
 * instruction returns. Throws XDPCTL_E_USAGE for anything else.
 */
export function readClassic(filter: Filter): Classic {
  const length = filter.length / INSTRUCTION;
  const view = new DataView(filter.buffer, filter.byteOffset, filter.byteLength);
  const wrong = (at: number, what: string): XdpctlError =>
    new XdpctlError("XDPCTL_E_USAGE", `instruction ${at} of the filter ${what}`, {
      remedy: "write it without: `ip6 proto 6`, for one, looks at the first header alone; see pcap-filter(7)",
    });
  if (!Number.isInteger(length) || length < 1) throw wrong(0, "is not there");
  const classic: Classic = {
    length,
    code: new Uint16Array(length),
    jumpTrue: new Uint8Array(length),
    jumpFalse: new Uint8Array(length),
    constant: new Uint32Array(length),
  };
  for (let i = 0; i < length; i++) {
    const code = view.getUint16(i * INSTRUCTION, true);
    const k = view.getUint32(i * INSTRUCTION + 4, true);
    classic.code[i] = code;
    classic.constant[i] = k;
    classic.jumpTrue[i] = view.getUint8(i * INSTRUCTION + 2);
    classic.jumpFalse[i] = view.getUint8(i * INSTRUCTION + 3);
    const kind = code & 7;
    if (kind === CLASS.JMP) {
      const far = (code & 0xf0) === JUMP.JA ? k : Math.max(classic.jumpTrue[i] ?? 0, classic.jumpFalse[i] ?? 0);
      if (i + 1 + far >= length) throw wrong(i, "jumps out of it, or back: `protochain` can't be done");
    } else if (kind !== CLASS.RET && i === length - 1) {
      throw wrong(i, "is the last and returns nothing");
    }
    const memory =
      kind === CLASS.ST ||
      kind === CLASS.STX ||
      ((kind === CLASS.LD || kind === CLASS.LDX) && (code & 0xe0) === MODE.MEM);
    if (memory && k >= MEMORY) throw wrong(i, "has memory that is not there");
  }
  return classic;
}
