// SPDX-License-Identifier: MIT
import { lastErrno, syscallError } from "./errno.js";
import { closeFd, OwnedFd } from "./fd.js";
import { lazy, libc } from "./ffi.js";

const MFD_CLOEXEC = 1;

const memfd_create = lazy<(name: string, flags: number) => number>(
  libc,
  "int memfd_create(const char *, unsigned int)",
);
const ftruncate = lazy<(fd: number, length: number) => number>(libc, "int ftruncate(int, long)");

/**
 * Memory of `length` bytes, all zero, behind a descriptor that another process can be given (memfd_create(2)). Its pages are
 * freed when the last descriptor and mapping are gone. `name` shows in /proc/PID/maps.
 */
export function sharedMemory(name: string, length: number): OwnedFd {
  const fd = memfd_create(name, MFD_CLOEXEC);
  if (fd < 0) throw syscallError(`making ${length} bytes of shared memory`, lastErrno());
  if (ftruncate(fd, length) < 0) {
    const number = lastErrno();
    closeFd(fd);
    throw syscallError(`making ${length} bytes of shared memory`, number);
  }
  return new OwnedFd(fd);
}
