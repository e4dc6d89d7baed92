// SPDX-License-Identifier: MIT
import { XdpctlError } from "../../errors/index.js";

/** The bytes of a word; text as UTF-8. Throws XDPCTL_E_USAGE when it is empty. */
export function wordBytes(word: string | Uint8Array): Uint8Array {
  const bytes = typeof word === "string" ? new TextEncoder().encode(word) : word.slice();
  if (bytes.length === 0) throw new XdpctlError("XDPCTL_E_USAGE", "the word to look for is empty");
  return bytes;
}

/** Finds a word in bytes (Horspool: it skips by what stands at the word's end), nothing allocated per search. */
export class WordSearch {
  readonly word: Uint8Array;
  readonly #skip: Uint16Array;

  /** Text is UTF-8. Throws XDPCTL_E_USAGE for an empty word. */
  constructor(word: string | Uint8Array) {
    this.word = wordBytes(word);
    const { length } = this.word;
    // A shorter skip than could be is right too: words beyond 65,535 bytes don't matter.
    this.#skip = new Uint16Array(256).fill(Math.min(length, 0xffff));
    for (let i = 0; i < length - 1; i++) this.#skip[this.word[i] as number] = Math.min(length - 1 - i, 0xffff);
  }

  /** Where in `[start, end)` the word begins first; -1 when it is not there. */
  find(bytes: Uint8Array, start: number, end: number): number {
    const { word } = this;
    const last = word.length - 1;
    const skip = this.#skip;
    const final = word[last] as number;
    for (let at = start + last; at < end; ) {
      const byte = bytes[at] as number;
      if (byte === final) {
        let i = 0;
        while (i < last && bytes[at - last + i] === word[i]) i++;
        if (i === last) return at - last;
      }
      at += skip[byte] as number;
    }
    return -1;
  }
}
