// SPDX-License-Identifier: MIT

/** An entry of an archive: a folder, a file, or a device. */
export interface CpioEntry {
  /** Without a leading `/`. */
  readonly path: string;
  /** Type and permissions, as in st_mode. */
  readonly mode: number;
  readonly data?: Uint8Array;
  /** Major and minor number of a device. */
  readonly device?: readonly [number, number];
}

export const S_IFDIR = 0o040000;
export const S_IFCHR = 0o020000;
export const S_IFREG = 0o100000;

function pad(length: number): number {
  return (4 - (length & 3)) & 3;
}

function entryBytes(entry: CpioEntry, inode: number): Buffer[] {
  const { path, mode, data = new Uint8Array(0), device = [0, 0] } = entry;
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
 * An archive in the format that the kernel unpacks as its first file system (Documentation/driver-api/early-userspace/
 * buffer-format.rst, "newc"). The same entries give the same bytes: no times, owners or host inodes are in it.
 */
export function cpio(entries: readonly CpioEntry[]): Buffer {
  const parts = entries.flatMap((entry, i) => entryBytes(entry, i + 1));
  parts.push(...entryBytes({ path: "TRAILER!!!", mode: 0 }, 0));
  return Buffer.concat(parts);
}
