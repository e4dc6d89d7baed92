// SPDX-License-Identifier: MIT
import { closeSync, fstatSync, openSync, statSync } from "node:fs";
import { check, lastErrno, syscallError } from "./errno.js";
import { lazy, libc } from "./ffi.js";

export const CLONE_FS = 0x200;
export const CLONE_NEWNS = 0x20000;
export const CLONE_NEWUTS = 0x4000000;
export const CLONE_NEWNET = 0x40000000;
const CLONE_NEWCGROUP = 0x2000000;
const CLONE_NEWIPC = 0x8000000;
const CLONE_NEWPID = 0x20000000;

export type NamespaceKind = "net" | "mnt" | "uts" | "ipc" | "cgroup" | "pid";
const FLAG: Record<NamespaceKind, number> = {
  net: CLONE_NEWNET,
  mnt: CLONE_NEWNS,
  uts: CLONE_NEWUTS,
  ipc: CLONE_NEWIPC,
  cgroup: CLONE_NEWCGROUP,
  pid: CLONE_NEWPID,
};

const unshare_ = lazy<(flags: number) => number>(libc, "int unshare(int)");
const setns_ = lazy<(fd: number, type: number) => number>(libc, "int setns(int, int)");
const sethostname_ = lazy<(name: string, length: number) => number>(libc, "int sethostname(const char *, size_t)");

/** unshare(2) of the calling thread. A mount namespace takes CLONE_FS with it. */
export function unshare(flags: number): void {
  if (unshare_(flags) < 0) throw syscallError("making a namespace", lastErrno(), undefined, "CAP_SYS_ADMIN");
}

/**
 * setns(2): moves the calling thread into the namespace behind `fd`. With `pid` it is the thread's children that are born
 * there, and as long as that is not undone no thread can be started.
 */
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

const ioctl_ = lazy<(fd: number, request: bigint, value: BigUint64Array) => number>(
  libc,
  "int ioctl(int, unsigned long, void *)",
);
/** `_IOR(0xb7, 5, __u64)` of linux/nsfs.h. */
const NS_GET_MNTNS_ID = 0x8008b705n;

/** The id of a mount namespace, by which the kernel orders them; undefined before Linux 6.11. */
function mountNamespaceId(path: string): bigint | undefined {
  const id = new BigUint64Array(1);
  const fd = openSync(path, "r");
  try {
    return ioctl_(fd, NS_GET_MNTNS_ID, id) < 0 ? undefined : id[0];
  } finally {
    closeSync(fd);
  }
}

/** Ids are handed to each CPU in lots of 4,096. */
const MOST_IDS = 4 * 4096;
const IDS_AT_ONCE = 64;

/**
 * Moves the calling thread into a copy of its mount namespace, and into a UTS namespace of its own, that can be bound to a
 * file in the mount namespace behind `home`.
 *
 * The kernel refuses that, with EINVAL, where the copy's id is lower than that of `home`, as if it were older. Since ids
 * come in lots for each CPU (Linux 6.18), a new namespace may well have a lower one: then ids are used up until it has not.
 */
export function unshareMounts(home: string): void {
  unshare(CLONE_NEWNS | CLONE_NEWUTS);
  const least = mountNamespaceId(home);
  if (least === undefined) return;
  for (let used = 0; used < MOST_IDS; used += IDS_AT_ONCE) {
    if ((mountNamespaceId(ownNamespacePath("mnt")) ?? least) > least) return;
    for (let i = 0; i < IDS_AT_ONCE; i++) unshare(CLONE_NEWUTS);
    unshare(CLONE_NEWNS);
  }
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
  const order: NamespaceKind[] = ["cgroup", "ipc", "uts", "net", "pid", "mnt"];
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
