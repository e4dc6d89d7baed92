// SPDX-License-Identifier: MIT
import * as linux from "../src/linux/index.js";

export * from "../src/linux/index.js";

// In the place of src/linux for src/xsk, in programs of the benchmarks alone: the time that system calls take is added up, so
// that what is left of a busy time is the time in user space. Ticks of the scheduler are too coarse for tens of nanoseconds.

let spent = 0;

/** Milliseconds in the calls below since the process began: the wake-ups and the waits of AF_XDP. */
export const msInCalls = (): number => spent;

export function wakeSend(fd: number): number {
  const began = performance.now();
  const result = linux.wakeSend(fd);
  spent += performance.now() - began;
  return result;
}

export function wakeReceive(fd: number): number {
  const began = performance.now();
  const result = linux.wakeReceive(fd);
  spent += performance.now() - began;
  return result;
}

export class Poll extends linux.Poll {
  override wait(timeout: number): number {
    const began = performance.now();
    const result = super.wait(timeout);
    spent += performance.now() - began;
    return result;
  }
}

export class Nap extends linux.Nap {
  override take(): void {
    const began = performance.now();
    super.take();
    spent += performance.now() - began;
  }
}
