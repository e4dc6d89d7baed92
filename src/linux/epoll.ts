// SPDX-License-Identifier: MIT
import { check, errno, lastErrno, syscallError } from "./errno.js";
import { OwnedFd } from "./fd.js";
import { lazy, libc } from "./ffi.js";

export const EPOLLIN = 0x1;
export const EPOLLOUT = 0x4;

const EPOLL_CLOEXEC = 0o2000000;
const CTL_ADD = 1;
const CTL_DEL = 2;
const CTL_MOD = 3;
/** struct epoll_event is packed on x86-64 (12 bytes) and aligned elsewhere (16). */
const PACKED = process.arch === "x64";
const EVENT_SIZE = PACKED ? 12 : 16;
const DATA_OFFSET = PACKED ? 4 : 8;

const epoll_create1 = lazy<(flags: number) => number>(libc, "int epoll_create1(int)");
const epoll_ctl = lazy<(epfd: number, op: number, fd: number, event: Buffer) => number>(
  libc,
  "int epoll_ctl(int, int, int, void *)",
);
const epoll_wait = lazy<(epfd: number, events: Buffer, max: number, timeout: number) => number>(
  libc,
  "int epoll_wait(int, void *, int, int)",
);

/** epoll(7). Level-triggered; `data` of an event is the descriptor. */
export class Epoll extends OwnedFd {
  readonly #one = Buffer.alloc(EVENT_SIZE);
  readonly #many: Buffer;
  readonly #max: number;

  constructor(max = 64) {
    super(check("epoll_create1", epoll_create1(EPOLL_CLOEXEC)));
    this.#max = max;
    this.#many = Buffer.alloc(EVENT_SIZE * max);
  }

  #control(op: number, fd: number, events: number): void {
    this.#one.writeUInt32LE(events, 0);
    this.#one.writeInt32LE(fd, DATA_OFFSET);
    this.#one.writeInt32LE(0, DATA_OFFSET + 4);
    check("epoll_ctl", epoll_ctl(this.fd, op, fd, this.#one));
  }

  add(fd: number, events: number): void {
    this.#control(CTL_ADD, fd, events);
  }

  modify(fd: number, events: number): void {
    this.#control(CTL_MOD, fd, events);
  }

  remove(fd: number): void {
    this.#control(CTL_DEL, fd, 0);
  }

  /** Calls `ready` for each descriptor that is ready; returns how many were. Waits `timeout` ms, 0 by default. */
  wait(ready: (fd: number, events: number) => void, timeout = 0): number {
    const n = epoll_wait(this.fd, this.#many, this.#max, timeout);
    if (n < 0) {
      const e = lastErrno();
      if (e === errno.EINTR) return 0;
      throw syscallError("epoll_wait", e);
    }
    for (let i = 0; i < n; i++) {
      const at = i * EVENT_SIZE;
      ready(this.#many.readInt32LE(at + DATA_OFFSET), this.#many.readUInt32LE(at));
    }
    return n;
  }
}
