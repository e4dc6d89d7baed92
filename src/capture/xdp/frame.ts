// SPDX-License-Identifier: MIT
import type { RingBuffer } from "../../bpf/index.js";
import { lazy, libc } from "../../linux/index.js";

/** struct capture_record of bpf/include/xdpctl.h: where its fields are, in bytes; the frame follows. */
const AT = { TIME: 0, QUEUE: 12, VERDICT: 16, REASON: 20, LENGTH: 24, CAPTURED: 28, FRAME: 32 } as const;
const UNKNOWN = 0xffff_ffff;
const BILLION = 1_000_000_000n;
const CLOCK_REALTIME = 0;

const clock_gettime = lazy<(clock: number, into: BigInt64Array) => number>(libc, "int clock_gettime(int, void *)");

/** Nanoseconds since 1970, UTC. */
export function realTime(): bigint {
  const time = new BigInt64Array(2);
  clock_gettime(CLOCK_REALTIME, time);
  return (time[0] ?? 0n) * BILLION + (time[1] ?? 0n);
}

/** The frame that is being read from the ring: used again for the next. Valid during the call that hands it on. */
export class CapturedFrame {
  /** The frame is `bytes[start]` to `bytes[end - 1]`. */
  readonly bytes: Buffer;
  start = 0;
  end = 0;
  /** Bytes that it had on the interface; more than there are here when it was cut. */
  length = 0;
  /** Receive queue. */
  queue = 0;
  /** `enum xdp_action`, or -1 where it is not known. */
  verdict = -1;
  /** `enum reason` of bpf/include/xdpctl.h. */
  reason = 0;
  /** When, in nanoseconds since 1970 UTC: the upper and the lower 32 bits. */
  timeHigh = 0;
  timeLow = 0;
  readonly #view: DataView;
  /** What CLOCK_MONOTONIC lacks to the time of day. */
  #offsetHigh = 0;
  #offsetLow = 0;

  constructor(ring: RingBuffer) {
    this.bytes = Buffer.from(ring.bytes.buffer, ring.bytes.byteOffset, ring.bytes.length);
    this.#view = ring.view;
    this.setClock();
  }

  /** Compares the clocks: now and then, because the time of day is adjusted. */
  setClock(): void {
    let offset = 0n;
    let least = 1n << 62n;
    // The pair that was read in the least time is the nearest to the truth.
    for (let i = 0; i < 5; i++) {
      const before = process.hrtime.bigint();
      const real = realTime();
      const took = process.hrtime.bigint() - before;
      if (took >= least) continue;
      least = took;
      offset = real - before - took / 2n;
    }
    this.#offsetHigh = Number(offset >> 32n);
    this.#offsetLow = Number(offset & 0xffff_ffffn);
  }

  /** Points it at the record at `at`, of `room` bytes. */
  point(at: number, room: number): void {
    const view = this.#view;
    const captured = view.getUint32(at + AT.CAPTURED, true);
    this.start = at + AT.FRAME;
    this.end = this.start + Math.min(captured, room - AT.FRAME);
    this.length = view.getUint32(at + AT.LENGTH, true);
    this.queue = view.getUint32(at + AT.QUEUE, true);
    const verdict = view.getUint32(at + AT.VERDICT, true);
    this.verdict = verdict === UNKNOWN ? -1 : verdict;
    this.reason = view.getUint32(at + AT.REASON, true);
    const low = view.getUint32(at + AT.TIME, true) + this.#offsetLow;
    this.timeLow = low >>> 0;
    this.timeHigh = view.getUint32(at + AT.TIME + 4, true) + this.#offsetHigh + (low > 0xffff_ffff ? 1 : 0);
  }

  /** Nanoseconds since 1970, UTC. */
  get time(): bigint {
    return (BigInt(this.timeHigh) << 32n) | BigInt(this.timeLow);
  }

  /** Its bytes, without a copy. */
  get data(): Uint8Array {
    return this.bytes.subarray(this.start, this.end);
  }
}
