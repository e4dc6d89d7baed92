// SPDX-License-Identifier: MIT
import { errno, lastErrno, syscallError } from "./errno.js";
import { lazy, libc } from "./ffi.js";

const LOCK_EX = 2;
const LOCK_NB = 4;
const F_GETFL = 3;
const F_SETFL = 4;
const O_NONBLOCK = 0o4000;

const flock_ = lazy<(fd: number, operation: number) => number>(libc, "int flock(int, int)");
const fcntl_ = lazy<(fd: number, command: number, argument: number) => number>(libc, "int fcntl(int, int, long)");

/** flock(2), exclusive and without waiting; false when another process has it. Closing the descriptor gives it up. */
export function tryLock(fd: number): boolean {
  if (flock_(fd, LOCK_EX | LOCK_NB) === 0) return true;
  const number = lastErrno();
  if (number === errno.EWOULDBLOCK) return false;
  throw syscallError("flock", number);
}

/** Makes an open file blocking again, for a program that is to inherit it. */
export function setBlocking(fd: number): void {
  const flags = fcntl_(fd, F_GETFL, 0);
  if (flags >= 0 && (flags & O_NONBLOCK) !== 0) fcntl_(fd, F_SETFL, flags & ~O_NONBLOCK);
}
