// SPDX-License-Identifier: MIT
import { check } from "./errno.js";
import { OwnedFd, readFd, writeFd } from "./fd.js";
import { lazy, libc } from "./ffi.js";

const EFD_NONBLOCK_CLOEXEC = 0o4000 | 0o2000000;

const eventfd_ = lazy<(count: number, flags: number) => number>(libc, "int eventfd(unsigned int, int)");

/** eventfd(2), non-blocking: one thread signals by its number, another waits for it among other descriptors. */
export class EventFd extends OwnedFd {
  readonly #count = new BigUint64Array(1);

  constructor() {
    super(check("eventfd", eventfd_(0, EFD_NONBLOCK_CLOEXEC)));
  }

  /** Takes what was signalled; false when nothing was. */
  take(): boolean {
    return readFd(this.fd, this.#count) === 8;
  }
}

const ONE = BigUint64Array.of(1n);

/** Signals an eventfd of this process, from any of its threads. */
export function signalEvent(fd: number): void {
  writeFd(fd, ONE);
}
