// SPDX-License-Identifier: MIT
import { writeSync } from "node:fs";
import { isatty } from "node:tty";
import { ReaderGone, type Sink } from "./console.js";

/** Writes all of `text`; a command of its own process may wait for its reader. */
function writeAll(fd: 1 | 2, text: string): void {
  let bytes = Buffer.from(text);
  while (bytes.length > 0) {
    try {
      bytes = bytes.subarray(writeSync(fd, bytes));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "EPIPE" && fd === 1) throw new ReaderGone();
      if (code === "EPIPE") return;
      if (code !== "EAGAIN") throw error;
      // Somebody made the shared descriptor non-blocking: Node's own streams know how to wait for it.
      (fd === 1 ? process.stdout : process.stderr).write(bytes);
      return;
    }
  }
}

/** The standard streams of this process. */
export const STANDARD: Sink = {
  out: (text) => writeAll(1, text),
  err: (text) => writeAll(2, text),
  columns: () => (isatty(2) ? process.stderr.columns : undefined),
  get interactive() {
    return isatty(1);
  },
};
