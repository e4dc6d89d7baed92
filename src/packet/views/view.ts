// SPDX-License-Identifier: MIT

const NOTHING = new Uint8Array(0);

/**
 * A header where it lies: one object that is pointed at `(bytes, start, end)` again and again. Nothing is allocated, and
 * nothing outside of `[start, end)` is read or written.
 *
 * `at` of each view says whether a whole header with true lengths begins at `start`; only after it said so may the
 * fields be used. Fields are numbers in host order, addresses of 6 and 16 bytes are offsets (`srcAt`, `dstAt`). A setter
 * writes its field alone: checksums don't follow, and after a change of a length the view is pointed anew.
 */
export abstract class View {
  bytes: Uint8Array = NOTHING;
  /** Where the header begins, in `bytes`. */
  start = 0;
  /** Where what the view was pointed at ends. */
  end = 0;
  /** Where the payload begins and ends, by the header's own lengths: padding behind it is left out. */
  payloadStart = 0;
  payloadEnd = 0;

  /** Points the view at `[start, end)` of `bytes`; false when no whole header with true lengths begins there. */
  abstract at(bytes: Uint8Array, start: number, end: number): boolean;

  get payloadLength(): number {
    return this.payloadEnd - this.payloadStart;
  }
}

/** Whether `[start, end)` lies in the buffer, and has at least `length` bytes. */
export function holds(bytes: Uint8Array, start: number, end: number, length: number): boolean {
  return start >= 0 && end <= bytes.length && end - start >= length;
}
