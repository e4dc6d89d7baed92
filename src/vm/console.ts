// SPDX-License-Identifier: MIT
import { closeSync, fstatSync, openSync, readSync } from "node:fs";

const TAIL = 64 * 1024;

/** Where a guest's console is written; QEMU writes it, whoever looks or not. */
export class ConsoleLog {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** Bytes so far; 0 while there is no file. */
  get size(): number {
    try {
      const fd = openSync(this.path, "r");
      try {
        return fstatSync(fd).size;
      } finally {
        closeSync(fd);
      }
    } catch {
      return 0;
    }
  }

  /** Its last bytes as text, without what only moves a cursor. */
  text(): string {
    try {
      const fd = openSync(this.path, "r");
      try {
        const { size } = fstatSync(fd);
        const bytes = Buffer.alloc(Math.min(size, TAIL));
        const n = readSync(fd, bytes, 0, bytes.length, size - bytes.length);
        return printable(bytes.toString("utf8", 0, n));
      } finally {
        closeSync(fd);
      }
    } catch {
      return "";
    }
  }

  /** What came after the first `from` bytes, as it is. */
  since(from: number): string {
    try {
      const fd = openSync(this.path, "r");
      try {
        const bytes = Buffer.alloc(Math.max(0, fstatSync(fd).size - from));
        return bytes.toString("utf8", 0, readSync(fd, bytes, 0, bytes.length, from));
      } finally {
        closeSync(fd);
      }
    } catch {
      return "";
    }
  }

  /** The last `count` lines that say something. */
  tail(count: number): string[] {
    return this.text()
      .split("\n")
      .map((line) => line.trimEnd())
      .filter((line) => line !== "")
      .slice(-count);
  }
}

/** Escape sequences, and all else that moves a cursor or rings a bell. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it is about
const CONTROLS = /\x1b(\[[0-9;?]*[A-Za-z]|[()][A-Z0-9]|.)|[\x00-\x08\x0b-\x1f\x7f]/g;

function printable(text: string): string {
  return text.replace(CONTROLS, "");
}

/** The line with which a kernel says that it gives up. */
export function panicLine(text: string): string | undefined {
  return /^.*(Kernel panic - not syncing: .*)$/m.exec(text)?.[1]?.trim();
}
