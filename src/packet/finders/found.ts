// SPDX-License-Identifier: MIT

/** Where something was found, `[start, end)` of the same buffer: one object that is filled again and again. */
export class Found {
  start = 0;
  end = 0;

  get length(): number {
    return this.end - this.start;
  }
}

/** The small letter of a capital one. */
function lower(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
}

/** Whether `bytes` have `text` at an offset, capital letters being as good as small ones. */
export function sameLetters(bytes: Uint8Array, at: number, text: Uint8Array): boolean {
  for (let i = 0; i < text.length; i++) if (lower(bytes[at + i] as number) !== lower(text[i] as number)) return false;
  return true;
}
