// SPDX-License-Identifier: MIT
import { errno, lastErrno, syscallError } from "./errno.js";
import { lazy, libc, type PointerArgument } from "./ffi.js";

/** A file descriptor of this process. */
export type Fd = number & { readonly __fd: unique symbol };

const close_ = lazy<(fd: number) => number>(libc, "int close(int)");
const read_ = lazy<(fd: number, buffer: PointerArgument, length: number) => number>(
  libc,
  "long read(int, void *, size_t)",
);
const write_ = lazy<(fd: number, buffer: PointerArgument, length: number) => number>(
  libc,
  "long write(int, const void *, size_t)",
);

export function closeFd(fd: number): void {
  close_(fd);
}

/** read(2). Returns the byte count, or the negative errno. */
export function readFd(fd: number, buffer: NodeJS.TypedArray): number {
  const n = Number(read_(fd, buffer, buffer.byteLength));
  return n < 0 ? -lastErrno() : n;
}

/** write(2). Returns the byte count, or the negative errno; never blocks on a descriptor that is non-blocking. */
export function writeFd(fd: number, buffer: NodeJS.TypedArray): number {
  for (;;) {
    const n = Number(write_(fd, buffer, buffer.byteLength));
    if (n >= 0) return n;
    const e = lastErrno();
    if (e !== errno.EINTR) return -e;
  }
}

/** A descriptor that closes once. */
export class OwnedFd implements Disposable {
  #fd: number;

  constructor(fd: number) {
    this.#fd = fd;
  }

  get fd(): Fd {
    return this.#fd as Fd;
  }

  get closed(): boolean {
    return this.#fd < 0;
  }

  close(): void {
    if (this.#fd < 0) return;
    const fd = this.#fd;
    this.#fd = -1;
    closeFd(fd);
  }

  /** Gives the descriptor away: this object no longer closes it. */
  protected detach(): number {
    const fd = this.#fd;
    this.#fd = -1;
    return fd;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

const fcntl_ = lazy<(fd: number, command: number, argument: number) => number>(libc, "int fcntl(int, int, int)");
const F_DUPFD_CLOEXEC = 1030;

/** A second descriptor of the same file, close-on-exec. */
export function dupFd(fd: number): number {
  const copy = fcntl_(fd, F_DUPFD_CLOEXEC, 3);
  if (copy < 0) throw syscallError("dup", lastErrno());
  return copy;
}
