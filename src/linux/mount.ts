// SPDX-License-Identifier: MIT
import { statfsSync } from "node:fs";
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
  try {
    return statfsSync(path).type >>> 0;
  } catch {
    return undefined;
  }
}
