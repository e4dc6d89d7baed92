// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";

const NEWLINE = 0x0a;

/** Splits a byte stream into lines of at most `limit` bytes; throws XDPCTL_E_RPC at the first that is longer. */
export class LineSplitter {
  readonly #limit: number;
  #parts: Buffer[] = [];
  #length = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** The lines that `chunk` completes, without their newlines. */
  *push(chunk: Buffer): Generator<string> {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      const line = this.#take(chunk.subarray(start, end));
      start = end + 1;
      if (line.length > 0) yield line;
    }
    if (start < chunk.length) this.#keep(chunk.subarray(start));
  }

  #keep(part: Buffer): void {
    this.#length += part.length;
    if (this.#length > this.#limit) {
      throw new XdpctlError("XDPCTL_E_RPC", `a message on the control socket is longer than ${this.#limit} bytes`);
    }
    this.#parts.push(part);
  }

  #take(last: Buffer): string {
    this.#keep(last);
    const parts = this.#parts;
    this.#parts = [];
    this.#length = 0;
    return parts.length === 1 ? last.toString("utf8") : Buffer.concat(parts).toString("utf8");
  }
}
