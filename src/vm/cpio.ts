// SPDX-License-Identifier: MIT
import { lstatSync, readdirSync, readFileSync, readlinkSync, type Stats } from "node:fs";
import { join } from "node:path";

/** An entry of an archive: a folder, a file, a symbolic link, or a device. */
export interface CpioEntry {
  /** Without a leading `/`. */
  readonly path: string;
  /** Type and permissions, as in st_mode. */
  readonly mode: number;
  /** A file's contents, or a link's target; read when its turn comes. */
  readonly data?: Uint8Array | (() => Uint8Array);
  /** Major and minor number of a device. */
  readonly device?: readonly [number, number];
}

export const S_IFDIR = 0o040000;
export const S_IFCHR = 0o020000;
export const S_IFREG = 0o100000;
const S_IFLNK = 0o120000;

function pad(length: number): number {
  return (4 - (length & 3)) & 3;
}

function entryBytes(entry: CpioEntry, inode: number): Buffer[] {
  const { path, mode, device = [0, 0] } = entry;
  const data = typeof entry.data === "function" ? entry.data() : (entry.data ?? new Uint8Array(0));
  const name = Buffer.from(`${path}\0`);
  const fields = [inode, mode, 0, 0, 1, 0, data.length, 0, 0, device[0], device[1], name.length, 0];
  const header = Buffer.from(`070701${fields.map((value) => value.toString(16).padStart(8, "0")).join("")}`);
  return [
    header,
    name,
    Buffer.alloc(pad(header.length + name.length)),
    Buffer.from(data.buffer, data.byteOffset, data.byteLength),
    Buffer.alloc(pad(data.length)),
  ];
}

/**
 * An archive, in pieces, in the format that the kernel unpacks as its first file system (Documentation/driver-api/
 * early-userspace/buffer-format.rst, "newc"). The same entries give the same bytes: no times, owners or host inodes are in
 * it.
 */
export function* cpio(entries: Iterable<CpioEntry>): Generator<Buffer> {
  let inode = 0;
  for (const entry of entries) yield* entryBytes(entry, ++inode);
  yield* entryBytes({ path: "TRAILER!!!", mode: 0 }, 0);
}

/** A file or folder of a tree, relative to its top, and what it is. */
export interface TreeFile {
  readonly path: string;
  readonly stat: Stats;
}

/** All of a tree but its top, each folder before what is in it, always in the same order. */
export function* walk(top: string, path = ""): Generator<TreeFile> {
  for (const name of readdirSync(join(top, path)).sort()) {
    const below = join(path, name);
    const stat = lstatSync(join(top, below));
    yield { path: below, stat };
    if (stat.isDirectory()) yield* walk(top, below);
  }
}

/** The files, folders and symbolic links of a tree as entries below `prefix`. Everything is root's. */
export function* treeEntries(top: string, prefix: string): Generator<CpioEntry> {
  yield { path: prefix, mode: S_IFDIR | 0o755 };
  for (const { path, stat } of walk(top)) {
    const file = join(top, path);
    const entry = { path: join(prefix, path), mode: stat.mode };
    if (stat.isDirectory()) yield entry;
    else if (stat.isFile()) yield { ...entry, data: () => readFileSync(file) };
    else if (stat.isSymbolicLink()) yield { ...entry, mode: S_IFLNK | 0o777, data: Buffer.from(readlinkSync(file)) };
  }
}
