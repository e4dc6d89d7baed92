// SPDX-License-Identifier: MIT
import { lastErrno, syscallError } from "./errno.js";
import { closeFd, OwnedFd } from "./fd.js";
import { lazy, libc } from "./ffi.js";

const MFD_CLOEXEC = 1;
const MFD_ALLOW_SEALING = 2;
const F_ADD_SEALS = 1033;
const F_GET_SEALS = 1034;
const F_SEAL_SHRINK = 2;
/** F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW: a look at memory that another holder has cut off would end the process. */
const SEALS = 1 | 2 | 4;

const memfd_create = lazy<(name: string, flags: number) => number>(
  libc,
  "int memfd_create(const char *, unsigned int)",
);
const fcntl_ = lazy<(fd: number, command: number, argument: number) => number>(libc, "int fcntl(int, int, long)");
const ftruncate = lazy<(fd: number, length: number) => number>(libc, "int ftruncate(int, long)");

/**
 * Memory of `length` bytes, all zero, behind a descriptor that another process can be given (memfd_create(2)), for ever of
 * this length. Its pages are freed when the last descriptor and mapping are gone. `name` shows in /proc/PID/maps.
 */
export function sharedMemory(name: string, length: number): OwnedFd {
  const fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0) throw syscallError(`making ${length} bytes of shared memory`, lastErrno());
  if (ftruncate(fd, length) < 0 || fcntl_(fd, F_ADD_SEALS, SEALS) < 0) {
    const number = lastErrno();
    closeFd(fd);
    throw syscallError(`making ${length} bytes of shared memory`, number);
  }
  return new OwnedFd(fd);
}

/** Whether a descriptor is memory (memfd_create(2)) that nobody can make shorter. */
export function isSealedMemory(fd: number): boolean {
  const seals = fcntl_(fd, F_GET_SEALS, 0);
  return seals >= 0 && (seals & F_SEAL_SHRINK) !== 0;
}
