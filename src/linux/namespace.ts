// SPDX-License-Identifier: MIT
import { closeSync, fstatSync, openSync, statSync } from "node:fs";
import { check, lastErrno, syscallError } from "./errno.js";
import { lazy, libc } from "./ffi.js";

export const CLONE_FS = 0x200;
export const CLONE_NEWNS = 0x20000;
export const CLONE_NEWUTS = 0x4000000;
export const CLONE_NEWNET = 0x40000000;

export type NamespaceKind = "net" | "mnt" | "uts";
const FLAG: Record<NamespaceKind, number> = { net: CLONE_NEWNET, mnt: CLONE_NEWNS, uts: CLONE_NEWUTS };

const unshare_ = lazy<(flags: number) => number>(libc, "int unshare(int)");
const setns_ = lazy<(fd: number, type: number) => number>(libc, "int setns(int, int)");
const sethostname_ = lazy<(name: string, length: number) => number>(libc, "int sethostname(const char *, size_t)");

/** unshare(2) of the calling thread. A mount namespace takes CLONE_FS with it. */
export function unshare(flags: number): void {
  if (unshare_(flags) < 0) throw syscallError("making a namespace", lastErrno(), undefined, "CAP_SYS_ADMIN");
}

/** setns(2): moves the calling thread into the namespace behind `fd`. */
export function setNamespace(fd: number, kind: NamespaceKind): void {
  if (setns_(fd, FLAG[kind]) >= 0) return;
  throw syscallError(`entering another ${kind} namespace`, lastErrno(), undefined, "CAP_SYS_ADMIN");
}

export function setHostName(name: string): void {
  check("sethostname", sethostname_(name, Buffer.byteLength(name)));
}

/** The calling thread's own namespace, as a path to open. */
export function ownNamespacePath(kind: NamespaceKind): string {
  return `/proc/thread-self/ns/${kind}`;
}

/** The inode number that names a namespace while it lives. */
export function namespaceInode(target: number | string = ownNamespacePath("net")): bigint {
  const stat = typeof target === "number" ? fstatSync(target, { bigint: true }) : statSync(target, { bigint: true });
  return stat.ino;
}

let fsUnshared = false;

/** setns(2) to a mount namespace needs a thread whose fs_struct is its own. */
export function ownFileSystemContext(): void {
  if (fsUnshared) return;
  unshare(CLONE_FS);
  fsUnshared = true;
}

/**
 * Runs `body` (synchronously: no await may cross a namespace) with the calling thread inside the given namespaces, and
 * comes back whatever happens. Children spawned inside inherit them; the thread pool stays outside.
 */
export function inNamespaces<T>(targets: Partial<Record<NamespaceKind, string | number>>, body: () => T): T {
  const order: NamespaceKind[] = ["uts", "net", "mnt"];
  const wanted = order.filter((kind) => targets[kind] !== undefined);
  if (wanted.includes("mnt")) ownFileSystemContext();
  const cwd = wanted.includes("mnt") ? process.cwd() : undefined;
  const opened: number[] = [];
  const open = (path: string): number => {
    const fd = openSync(path, "r");
    opened.push(fd);
    return fd;
  };
  try {
    const home = wanted.map((kind) => [kind, open(ownNamespacePath(kind))] as const);
    const away = wanted.map((kind) => {
      const target = targets[kind] as string | number;
      return [kind, typeof target === "number" ? target : open(target)] as const;
    });
    const entered: (readonly [NamespaceKind, number])[] = [];
    try {
      for (const [i, [kind, fd]] of away.entries()) {
        setNamespace(fd, kind);
        const back = home[i];
        if (back !== undefined) entered.push(back);
      }
      return body();
    } finally {
      for (const [kind, fd] of entered.reverse()) setNamespace(fd, kind);
      if (cwd !== undefined) process.chdir(cwd);
    }
  } finally {
    for (const fd of opened) closeSync(fd);
  }
}
