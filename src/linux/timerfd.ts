// SPDX-License-Identifier: MIT
import { check, errno } from "./errno.js";
import { OwnedFd, readFd } from "./fd.js";
import { lazy, libc } from "./ffi.js";

const CLOCK_MONOTONIC = 1;
const TFD_NONBLOCK_CLOEXEC = 0o4000 | 0o2000000;

const timerfd_create = lazy<(clock: number, flags: number) => number>(libc, "int timerfd_create(int, int)");
const timerfd_settime = lazy<(fd: number, flags: number, value: Buffer, old: null) => number>(
  libc,
  "int timerfd_settime(int, int, const void *, void *)",
);

/** timerfd_create(2) on CLOCK_MONOTONIC, non-blocking. */
export class TimerFd extends OwnedFd {
  readonly #spec = Buffer.alloc(32);
  readonly #count = new BigUint64Array(1);

  constructor() {
    super(check("timerfd_create", timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK_CLOEXEC)));
  }

  /** Arms the timer: first after `first` ms, then every `interval` ms (0: once). Zero for both disarms it. */
  set(first: number, interval: number): void {
    this.#write(0, interval);
    this.#write(16, first);
    check("timerfd_settime", timerfd_settime(this.fd, 0, this.#spec, null));
  }

  #write(at: number, ms: number): void {
    const whole = Math.floor(ms / 1000);
    this.#spec.writeBigInt64LE(BigInt(whole), at);
    this.#spec.writeBigInt64LE(BigInt(Math.round((ms - whole * 1000) * 1e6)), at + 8);
  }

  /** How often it expired since the last call; 0 when it did not. */
  expirations(): number {
    const n = readFd(this.fd, this.#count);
    if (n === -errno.EAGAIN || n !== 8) return 0;
    return Number(this.#count[0]);
  }
}
