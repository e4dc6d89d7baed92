// SPDX-License-Identifier: MIT
import { lastErrno, syscallError } from "./errno.js";
import { lazy, libc } from "./ffi.js";

export const MS_NOSUID = 2;
export const MS_NODEV = 4;
export const MS_NOEXEC = 8;
export const MS_BIND = 4096;
export const MS_REC = 16384;
export const MS_PRIVATE = 1 << 18;
export const MS_SLAVE = 1 << 19;
export const MNT_DETACH = 2;

export const BPF_FS_MAGIC = 0xcafe4a11;

const mount_ = lazy<
  (source: string | null, target: string, type: string | null, flags: number, data: string | null) => number
>(libc, "int mount(const char *, const char *, const char *, unsigned long, const char *)");
const umount2_ = lazy<(target: string, flags: number) => number>(libc, "int umount2(const char *, int)");
const statfs_ = lazy<(path: string, into: BigInt64Array) => number>(libc, "int statfs(const char *, void *)");

/** mount(2). */
export function mount(
  source: string | null,
  target: string,
  type: string | null,
  flags: number,
  data: string | null = null,
): void {
  if (mount_(source, target, type, flags, data) < 0)
    throw syscallError(`mount ${type ?? ""} on ${target}`, lastErrno());
}

/** umount2(2); returns 0 or the negative errno. */
export function unmount(target: string, flags = MNT_DETACH): number {
  return umount2_(target, flags) < 0 ? -lastErrno() : 0;
}

/** f_type of the file system at `path` (statfs(2)), or undefined where there is none. */
export function fileSystemType(path: string): number | undefined {
  const into = new BigInt64Array(16);
  if (statfs_(path, into) < 0) return undefined;
  return Number(BigInt.asUintN(32, into[0] ?? 0n));
}
