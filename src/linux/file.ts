// SPDX-License-Identifier: MIT
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";

/** Bytes of one read: at least, at most. */
const CHUNK = 65_536;
const MOST = 4 << 20;

function failure(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(code), { code });
}

/**
 * Reads a file of at most `limit` bytes: never more, whatever its name leads to (`/dev/zero` has no end), and without
 * waiting. Only with `wait` it reads a pipe, to its end. Throws an error whose `code` is errno's name, or says why: `larger
 * than N bytes`, `a pipe`.
 */
export function readBounded(path: string, limit: number, options: { wait?: boolean } = {}): Buffer {
  const wait = options.wait === true;
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOCTTY | (wait ? 0 : constants.O_NONBLOCK));
  try {
    const stat = fstatSync(fd);
    if (stat.isDirectory()) throw failure("EISDIR");
    if (!wait && (stat.isFIFO() || stat.isSocket())) throw failure("a pipe");
    const parts: Buffer[] = [];
    for (let total = 0; ; ) {
      const part = Buffer.allocUnsafe(Math.min(Math.max(stat.size - total + 1, CHUNK), MOST));
      const n = readSync(fd, part);
      if (n === 0) return Buffer.concat(parts);
      total += n;
      if (total > limit) throw failure(`larger than ${limit} bytes`);
      parts.push(part.subarray(0, n));
    }
  } finally {
    closeSync(fd);
  }
}
