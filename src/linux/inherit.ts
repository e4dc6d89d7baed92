// SPDX-License-Identifier: MIT
import { readFileSync } from "node:fs";
import { check } from "./errno.js";
import { lazy, libc } from "./ffi.js";

const F_DUPFD_CLOEXEC = 1030;
const F_SETFD = 2;
const FD_CLOEXEC = 1;
const F_GETFL = 3;
const F_SETFL = 4;
const O_NONBLOCK = 0o4000;

const fcntl_ = lazy<(fd: number, command: number, argument: number) => number>(libc, "int fcntl(int, int, long)");

/**
 * Makes standard streams as our caller left them, for a program that replaces this one: Node marks them close-on-exec when
 * it starts, and makes pipes non-blocking when it looks at them.
 */
export function restoreStandardStreams(): void {
  for (const fd of [0, 1, 2]) {
    fcntl_(fd, F_SETFD, 0);
    const flags = fcntl_(fd, F_GETFL, 0);
    if (flags >= 0 && (flags & O_NONBLOCK) !== 0) fcntl_(fd, F_SETFL, flags & ~O_NONBLOCK);
  }
}

/** Whether all standard streams are blocking ones, looked up without the C library, which takes its time to load. */
export function standardStreamsBlock(): boolean {
  return [0, 1, 2].every((fd) => {
    try {
      const [, flags = "0"] = /^flags:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8")) ?? [];
      return (Number.parseInt(flags, 8) & O_NONBLOCK) === 0;
    } catch {
      return true;
    }
  });
}

const dup2_ = lazy<(from: number, to: number) => number>(libc, "int dup2(int, int)");
const close_ = lazy<(fd: number) => number>(libc, "int close(int)");
/** Above all that Node has. */
const ASIDE = 200;

/**
 * Puts copies of descriptors at `first` and the numbers after it while `replace` runs, which is to replace this process. Where
 * it throws instead, Node has its own again: it aborts without them.
 */
export function withDescriptorsAt(fds: readonly number[], first: number, replace: () => never): never {
  // One of them may lie where another one goes.
  const aside = fds.map((fd) => check("dup", fcntl_(fd, F_DUPFD_CLOEXEC, ASIDE)));
  const own = fds.map((_, i) => fcntl_(first + i, F_DUPFD_CLOEXEC, ASIDE));
  try {
    for (const [i, fd] of aside.entries()) check("dup2", dup2_(fd, first + i));
    return replace();
  } finally {
    for (const [i, fd] of own.entries()) {
      if (fd < 0) close_(first + i);
      else {
        dup2_(fd, first + i);
        fcntl_(first + i, F_SETFD, FD_CLOEXEC);
      }
    }
    for (const fd of [...aside, ...own]) close_(fd);
  }
}

/** Keeps a descriptor that was inherited from the programs that this one starts. */
export function keepFromChildren(fd: number): void {
  check(`descriptor ${fd}`, fcntl_(fd, F_SETFD, FD_CLOEXEC));
}
