// SPDX-License-Identifier: MIT
import { constants } from "node:os";
import { type ErrorCode, XdpctlError } from "../errors/index.js";
import { koffi } from "./ffi.js";

/** errno values by name, positive. */
export const errno = constants.errno;

const EXTRA: Record<number, string> = { 524: "ENOTSUPP", 4001: "LIBBPF_ERRNO__FORMAT" };
const TEXT: Record<string, string> = {
  EPERM: "operation not permitted",
  ENOENT: "no such file, entry or object",
  EINTR: "interrupted",
  EIO: "input/output error",
  E2BIG: "too big",
  EBADF: "bad file descriptor",
  EAGAIN: "try again",
  ENOMEM: "out of memory",
  EACCES: "permission denied",
  EFAULT: "bad address",
  EBUSY: "busy",
  EEXIST: "exists already",
  ENODEV: "no such device",
  ENOTDIR: "not a directory",
  EINVAL: "invalid argument",
  EMFILE: "too many open files",
  ENOSPC: "no space left",
  ERANGE: "out of range",
  ENOSYS: "not implemented by this kernel",
  ENODATA: "no data",
  EOPNOTSUPP: "not supported",
  ENOTSUP: "not supported",
  ENOTSUPP: "not supported by this kernel",
  EADDRINUSE: "address in use",
  EADDRNOTAVAIL: "address not available",
  ENETUNREACH: "network unreachable",
  ENOBUFS: "no buffer space",
  ECONNREFUSED: "connection refused",
  LIBBPF_ERRNO__FORMAT: "not a valid BPF object",
};

const names = new Map<number, string>();

/** `ENOENT` for 2. */
export function errnoName(number: number): string {
  if (names.size === 0)
    for (const [name, value] of Object.entries(errno)) if (!names.has(value)) names.set(value, name);
  return EXTRA[number] ?? names.get(number) ?? `errno ${number}`;
}

/** `no such file, entry or object (ENOENT)` for 2. */
export function errnoText(number: number): string {
  const name = errnoName(number);
  const text = TEXT[name];
  return text === undefined ? name : `${text} (${name})`;
}

/** errno of this thread, right after a foreign call that failed. */
export function lastErrno(): number {
  return koffi().errno();
}

/** The error of a failed system call: what was tried, and the kernel's reason; after EPERM the `capability` it takes. */
export function syscallError(
  what: string,
  number: number,
  code: ErrorCode = "XDPCTL_E_SYSCALL",
  capability?: string,
): XdpctlError {
  if (number === errno.EPERM && capability !== undefined) {
    return new XdpctlError("XDPCTL_E_PERMISSION", `${what} needs ${capability} (or root)`, { errno: number });
  }
  if (number === errno.EPERM || (number === errno.EACCES && code === "XDPCTL_E_SYSCALL")) {
    return new XdpctlError("XDPCTL_E_PERMISSION", `${what}: ${errnoText(number)}`, { errno: number });
  }
  return new XdpctlError(code, `${what}: ${errnoText(number)}`, { errno: number });
}

/** Passes a result that is not -1 through; throws the system call's error otherwise. */
export function check(what: string, result: number | bigint): number {
  const value = Number(result);
  if (value === -1) throw syscallError(what, lastErrno());
  return value;
}
