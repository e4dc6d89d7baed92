// SPDX-License-Identifier: MIT
import type { BpfMap } from "../../bpf/index.js";

/** `COUNT_*` of bpf/include/frames.h. */
const COUNT = { SEEN: 0, LOST: 1 } as const;

export interface FrameCounts {
  /** Frames that came. */
  readonly seen: number;
  /** Frames for which the ring had no room. */
  readonly lost: number;
}

/** A word as the keys and values of arrays are. */
export function word(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

export function readFrameCounts(counts: BpfMap): FrameCounts {
  const sum = (which: number): number => {
    const values = counts.getBytes(word(which)) ?? Buffer.alloc(0);
    let all = 0n;
    for (let at = 0; at + 8 <= values.length; at += 8) all += values.readBigUInt64LE(at);
    return Number(all);
  };
  return { seen: sum(COUNT.SEEN), lost: sum(COUNT.LOST) };
}
