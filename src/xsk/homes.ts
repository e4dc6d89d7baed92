// SPDX-License-Identifier: MIT
import type { Engine } from "./engine.js";
import { OWNER } from "./owners.js";
import type { Umem } from "./umem.js";

/**
 * After a close a worker of the kernel's own lets a zero-copy queue go (some 32 ms later), and what is on its way out by then is
 * read until it has left.
 */
const LINGER_MS = 1000;

/**
 * Of a UMEM that several sockets share: by which of them the kernel has each frame, so that those of one that closes come back
 * while the others stay. It is written a batch at a time, where frames go into a fill ring from the pool, or into a TX ring: on
 * all other ways a frame stays with its socket, or becomes free.
 */
export class Homes {
  readonly #umem: Umem;
  /** The `id` of an engine, or 0: the frame is free, or was when a packet took it. */
  readonly #book: Int32Array;

  /** `only` is the one that has all frames which are neither free nor a packet's. */
  constructor(umem: Umem, only: Engine) {
    this.#umem = umem;
    this.#book = new Int32Array(umem.frameCount);
    for (let i = 0; i < umem.frameCount; i++) this.#book[i] = umem.held[i] === 0 ? only.id : 0;
    this.freed(0);
  }

  /** The next `n` of its fill ring are its own. */
  filled({ id, fill }: Engine, n: number): void {
    for (let i = 0; i < n; i++) this.#set(fill.slots[((fill.producer + i) & fill.mask) << 1] as number, id);
  }

  /** So are those that its fill ring was given before it was bound. */
  joined({ id, fill, owed }: Engine): void {
    for (let i = fill.size - owed; i > 0; i--)
      this.#set(fill.slots[((fill.producer - i) & fill.mask) << 1] as number, id);
  }

  /** So are those that are staged in its TX ring. */
  staged({ id, tx, staged }: Engine): void {
    for (let i = 0; i < staged; i++) this.#set(tx.slots[((tx.producer + i) & tx.mask) << 2] as number, id);
  }

  /** The free frames from the `first` on came back. */
  freed(first: number): void {
    const { stack, freeCount } = this.#umem;
    for (let i = first; i < freeCount; i++) this.#set(stack[i] as number, 0);
  }

  #set(address: number, id: number): void {
    this.#book[Math.floor(address / this.#umem.frameSize)] = id;
  }

  /** It is closed: what it had is free, at once where the kernel is done with it. */
  leave(engine: Engine): void {
    if (!engine.zeroCopy && engine.sending === 0) this.#release(engine.id);
    else setTimeout(() => this.#release(engine.id), LINGER_MS).unref();
  }

  #release(id: number): void {
    const umem = this.#umem;
    // All sockets were closed meanwhile: all is free.
    if (umem.homes !== this) return;
    const book = this.#book;
    for (let i = 0; i < book.length; i++) {
      if (book[i] !== id) continue;
      book[i] = 0;
      if (umem.metadata !== undefined) umem.metadata.awaited[i] = 0;
      if (umem.held[i] !== 0) continue;
      umem.owners?.reset(i);
      umem.give(i * umem.frameSize, OWNER.free);
    }
  }
}
