// SPDX-License-Identifier: MIT
import { errno, lastErrno, syscallError } from "./errno.js";
import { lazy, libc } from "./ffi.js";

const LOCK_EX = 2;
const LOCK_NB = 4;

const flock_ = lazy<(fd: number, operation: number) => number>(libc, "int flock(int, int)");

/** flock(2), exclusive and without waiting; false when another process has it. Closing the descriptor gives it up. */
export function tryLock(fd: number): boolean {
  if (flock_(fd, LOCK_EX | LOCK_NB) === 0) return true;
  const number = lastErrno();
  if (number === errno.EWOULDBLOCK) return false;
  throw syscallError("flock", number);
}
