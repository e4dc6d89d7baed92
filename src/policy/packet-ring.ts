// SPDX-License-Identifier: MIT

/** Frames that wait for a policy, or for the controller to do what it answered; a power of two. */
const SLOTS = 1024;
const SLOT_BYTES = 4096;
/** Bytes of XDP metadata that lie in front of a frame: the most that every kernel takes. */
export const METADATA_BYTES = 32;
/** In front of each frame: the fields below, and its metadata. */
const FIELDS_BYTES = 32;
const HEADER_BYTES = FIELDS_BYTES + METADATA_BYTES;
/** What an AF_XDP frame of 4 KiB holds, less its headroom. */
export const LONGEST_FRAME = 3840;
/** Of a slot: where its frame begins (in the slot) and how long it is, and what it came with. */
const FIELD = { start: 0, length: 1, ifindex: 2, port: 3, verdict: 4, out: 5, fallback: 6, metadata: 7 } as const;

const WORD = { head: 0, done: 1 } as const;
const WORDS_BYTES = 64;

/** What a policy answered. */
export const PACKET_VERDICT = { drop: 0, pass: 1, reply: 2, redirect: 3 } as const;

/**
 * Frames on their way to a policy's worker and back, in memory that both threads share. The controller writes frames at
 * `head`; the worker answers them in their order and moves `done`; the controller does what was answered and takes the
 * slots back. What lies between `done` and `head` is the worker's, all else the controller's.
 */
export class PacketRing {
  readonly buffer: SharedArrayBuffer;
  /** The slots; a frame lies in one of them. */
  readonly bytes: Uint8Array;
  readonly #words: Int32Array;
  readonly #fields: Int32Array;

  constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer, 0, WORDS_BYTES / 4);
    this.bytes = new Uint8Array(buffer, WORDS_BYTES);
    this.#fields = new Int32Array(buffer, WORDS_BYTES);
  }

  static allocate(): PacketRing {
    return new PacketRing(new SharedArrayBuffer(WORDS_BYTES + SLOTS * SLOT_BYTES));
  }

  get head(): number {
    return Atomics.load(this.#words, WORD.head);
  }

  get done(): number {
    return Atomics.load(this.#words, WORD.done);
  }

  set head(value: number) {
    Atomics.store(this.#words, WORD.head, value);
  }

  set done(value: number) {
    Atomics.store(this.#words, WORD.done, value);
  }

  /** How many frames it holds. */
  get size(): number {
    return SLOTS;
  }

  /** The bytes that the frame number `n` may use: from here… */
  low(n: number): number {
    return (n & (SLOTS - 1)) * SLOT_BYTES + HEADER_BYTES;
  }

  /** …up to here. */
  high(n: number): number {
    return (n & (SLOTS - 1)) * SLOT_BYTES + SLOT_BYTES;
  }

  #field(n: number, field: number): number {
    return this.#fields[((n & (SLOTS - 1)) * SLOT_BYTES) / 4 + field] as number;
  }

  #set(n: number, field: number, value: number): void {
    this.#fields[((n & (SLOTS - 1)) * SLOT_BYTES) / 4 + field] = value;
  }

  /** Where the frame begins in `bytes`, and where it ends. */
  start(n: number): number {
    return this.#field(n, FIELD.start);
  }

  end(n: number): number {
    return this.#field(n, FIELD.start) + this.#field(n, FIELD.length);
  }

  ifindex(n: number): number {
    return this.#field(n, FIELD.ifindex);
  }

  /** The controller's number of where it came from. */
  port(n: number): number {
    return this.#field(n, FIELD.port);
  }

  verdict(n: number): number {
    return this.#field(n, FIELD.verdict);
  }

  answer(n: number, verdict: number): void {
    this.#set(n, FIELD.verdict, verdict);
  }

  /** The interface by which a redirected frame goes out. */
  out(n: number): number {
    return this.#field(n, FIELD.out);
  }

  redirect(n: number, ifindex: number): void {
    this.#set(n, FIELD.out, ifindex);
  }

  /** Copies a frame into the slot; false where it is too long for one. */
  write(n: number, bytes: Uint8Array, start: number, end: number): boolean {
    const length = end - start;
    const at = this.low(n);
    if (length > LONGEST_FRAME) return false;
    // A copy byte by byte costs less than a view for short frames.
    if (length <= 256) for (let i = 0; i < length; i++) this.bytes[at + i] = bytes[start + i] as number;
    else this.bytes.set(bytes.subarray(start, end), at);
    this.#set(n, FIELD.start, at);
    this.#set(n, FIELD.length, length);
    return true;
  }

  /** Copies what lies in front of the frame, which a program may have written. */
  writeMetadata(n: number, bytes: Uint8Array, start: number): void {
    const at = this.low(n);
    const size = Math.min(METADATA_BYTES, start);
    for (let i = size; i > 0; i--) this.bytes[at - i] = bytes[start - i] as number;
    this.#set(n, FIELD.metadata, size);
  }

  withoutMetadata(n: number): void {
    this.#set(n, FIELD.metadata, 0);
  }

  /** Bytes in front of the frame that a program may have written. */
  metadata(n: number): number {
    return this.#field(n, FIELD.metadata);
  }

  /** What becomes of it where it can't be asked about: `on_error` of what it matched. */
  fallback(n: number): number {
    return this.#field(n, FIELD.fallback);
  }

  describe(n: number, ifindex: number, port: number, fallback: number): void {
    this.#set(n, FIELD.ifindex, ifindex);
    this.#set(n, FIELD.port, port);
    this.#set(n, FIELD.fallback, fallback);
  }
}
