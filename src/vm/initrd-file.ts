// SPDX-License-Identifier: MIT
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { cacheDir } from "./cache.js";
import type { Initramfs } from "./initramfs.js";

const UNUSED_MS = 600_000;

/** The file of an initramfs, made once. `dir` is the guest's own folder; undefined for one that is not started. */
export function initrdFile({ key, large, build }: Initramfs, dir: string | undefined): string {
  const folder = join(cacheDir(), "initramfs", ...(large ? ["packed"] : []));
  const path = join(folder, `${key}.cpio`);
  const partial = `${path}.${process.pid}`;
  try {
    if (!existsSync(path)) {
      mkdirSync(folder, { recursive: true });
      if (large) removeUnused(folder);
      write(partial, build());
      renameSync(partial, path);
    }
    const now = new Date();
    if (large) utimesSync(path, now, now);
    return path;
  } catch {
    rmSync(partial, { force: true });
    // A cache that is somebody else's, or full: then it is made for this guest alone.
    const own = join(dir ?? "RUN", "initramfs.cpio");
    if (dir !== undefined) write(own, build());
    return own;
  }
}

/** Each edit of the project makes another with a whole root in it. QEMU has read its own a moment after it was started. */
function removeUnused(folder: string): void {
  for (const name of readdirSync(folder)) {
    const stat = statSync(join(folder, name), { throwIfNoEntry: false });
    if (stat !== undefined && Date.now() - stat.mtimeMs > UNUSED_MS) rmSync(join(folder, name), { force: true });
  }
}

function write(path: string, chunks: Iterable<Uint8Array>): void {
  const fd = openSync(path, "w");
  try {
    for (const chunk of chunks) if (chunk.length > 0) writeFileSync(fd, chunk);
  } finally {
    closeSync(fd);
  }
}
