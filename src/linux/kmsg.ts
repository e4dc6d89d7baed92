// SPDX-License-Identifier: MIT
import { closeSync, constants, fstatSync, openSync } from "node:fs";
import { XdpctlError } from "../errors/index.js";
import { errno, errnoText, lastErrno, syscallError } from "./errno.js";
import { readFd } from "./fd.js";
import { lazy, libc } from "./ffi.js";

const SEEK_END = 2;
/** Major 1, minor 11. */
const KMSG_DEVICE = (1 << 8) | 11;
/** The kernel prints at most 1 KiB in a record, and escapes what is not ASCII. */
const RECORD = 8192;

const lseek_ = lazy<(fd: number, offset: number, whence: number) => number>(libc, "long lseek(int, long, int)");

export interface KernelLogRecord {
  /** Microseconds of the kernel's own clock. */
  readonly time: number;
  /** False for what a process wrote to /dev/kmsg. */
  readonly fromKernel: boolean;
  readonly text: string;
}

/** What the kernel logs from now on: /dev/kmsg (Linux 3.5), read without waiting. */
export class KernelLog implements Disposable {
  readonly #fd: number;
  readonly #record = Buffer.alloc(RECORD);
  /** How often records were overwritten before they were read. */
  overruns = 0;

  /** Throws XDPCTL_E_PERMISSION or XDPCTL_E_SYSCALL where the log can't be read. */
  constructor() {
    try {
      this.#fd = openSync("/dev/kmsg", constants.O_RDONLY | constants.O_NONBLOCK);
    } catch (error) {
      throw syscallError("reading the kernel's log (/dev/kmsg)", Math.abs((error as NodeJS.ErrnoException).errno ?? 5));
    }
    const stat = fstatSync(this.#fd);
    // Containers may have something else there, which would always be silent.
    if (!stat.isCharacterDevice() || stat.rdev !== KMSG_DEVICE) {
      closeSync(this.#fd);
      throw new XdpctlError("XDPCTL_E_SYSCALL", "reading the kernel's log: /dev/kmsg is not the kernel's");
    }
    if (Number(lseek_(this.#fd, 0, SEEK_END)) < 0) {
      const number = lastErrno();
      closeSync(this.#fd);
      throw syscallError("reading the kernel's log (/dev/kmsg)", number);
    }
  }

  /** The records since the last call, or since it was opened. */
  read(): KernelLogRecord[] {
    const found: KernelLogRecord[] = [];
    for (;;) {
      const n = readFd(this.#fd, this.#record);
      if (n === -errno.EPIPE) {
        this.overruns++;
        continue;
      }
      if (n === -errno.EINTR) continue;
      if (n === -errno.EAGAIN || n === 0) return found;
      if (n < 0) throw syscallError(`reading the kernel's log: ${errnoText(-n)}`, -n);
      found.push(decodeRecord(this.#record.toString("utf8", 0, n)));
    }
  }

  close(): void {
    closeSync(this.#fd);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** `6,1234,5678901,-;text`, then lines with properties: Documentation/ABI/testing/dev-kmsg. */
export function decodeRecord(record: string): KernelLogRecord {
  const semicolon = record.indexOf(";");
  const [priority = "0", , time = "0"] = record.slice(0, semicolon).split(",");
  const [text = ""] = record.slice(semicolon + 1).split("\n");
  // A priority is level + 8 × facility; the kernel's own facility is 0, and a process can't claim it.
  return {
    time: Number(time),
    fromKernel: Number(priority) < 8,
    text: text.replace(/\\x([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
  };
}
