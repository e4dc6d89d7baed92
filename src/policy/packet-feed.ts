// SPDX-License-Identifier: MIT
import { EventFd, signalEvent } from "../linux/index.js";
import type { PacketFilter } from "./packet-filter.js";
import { PacketRing } from "./packet-ring.js";

/** Answers of one turn: some 7 ms, when all of them pass. */
const MOST_ANSWERS = 256;

/** What `offer` did with a frame. */
export const OFFERED = { taken: 0, full: 1, absent: 2 } as const;

/** Where a policy's packets come from: the controller, which has the sockets. */
export interface PacketAccess {
  /** The policy asks for these frames from now on; none when it ends. They go into `feed`. */
  listen(feed: PacketFeed, filters: readonly PacketFilter[]): void;
}

/** Is told of each answer, in the order of the frames. */
export type AnswerHandler = (verdict: number, n: number) => void;

/** The controller's end of a policy's packet hooks: frames go in, answers come out. Never waits. */
export class PacketFeed {
  readonly ring = PacketRing.allocate();
  /** Signalled by the worker when it has answered. */
  readonly answered = new EventFd();
  readonly #access: PacketAccess | undefined;
  readonly #wake: () => boolean;
  readonly #lost: (count: number) => void;
  #key = "[]";
  #tail = 0;
  /** Interfaces with somebody's own program, which may write metadata: a guard writes none. */
  readonly tagged = new Set<number>();

  /** `wake` wakes the worker; false where there is none. */
  constructor(access: PacketAccess | undefined, wake: () => boolean, lost: (count: number) => void) {
    this.#access = access;
    this.#wake = wake;
    this.#lost = lost;
  }

  /** What a worker starts with. */
  get start(): { readonly ring: SharedArrayBuffer; readonly answered: number } {
    return { ring: this.ring.buffer, answered: this.answered.fd };
  }

  /** The filters of the script's packet hooks, as they are now. */
  listen(filters: readonly PacketFilter[]): void {
    const key = JSON.stringify(filters);
    if (key === this.#key) return;
    this.#key = key;
    this.#access?.listen(this, filters);
  }

  /**
   * Copies a frame for the script to see: OFFERED. What finds no room is counted as lost; `fallback` (a PACKET_VERDICT) is
   * what becomes of it if the worker ends.
   */
  offer(bytes: Uint8Array, start: number, end: number, ifindex: number, port: number, fallback: number): number {
    const { ring } = this;
    const { head } = ring;
    if (((head - this.#tail) | 0) >= ring.size || !ring.write(head, bytes, start, end)) {
      this.#lost(1);
      return OFFERED.full;
    }
    if (this.tagged.has(ifindex)) ring.writeMetadata(head, bytes, start);
    else ring.withoutMetadata(head);
    ring.describe(head, ifindex, port, fallback);
    ring.head = (head + 1) | 0;
    if (this.#wake()) return OFFERED.taken;
    ring.head = head;
    return OFFERED.absent;
  }

  /** Shows what was answered since the last call, so much that others have their turn soon; the slot is free again when the handler returns. */
  take(handler: AnswerHandler): number {
    this.answered.take();
    const { done } = this.ring;
    let n = 0;
    for (; this.#tail !== done && n < MOST_ANSWERS; n++) {
      handler(this.ring.verdict(this.#tail), this.#tail);
      this.#tail = (this.#tail + 1) | 0;
    }
    if (this.#tail !== done) signalEvent(this.answered.fd);
    return n;
  }

  /** Replies that could not be sent. */
  missed(count: number): void {
    if (count > 0) this.#lost(count);
  }

  /** The worker is gone: what it has not answered gets the default. A new one begins with an empty ring. */
  abandon(): void {
    const { ring } = this;
    const { head } = ring;
    for (let n = ring.done; n !== head; n = (n + 1) | 0) ring.answer(n, ring.fallback(n));
    ring.done = head;
    if (!this.answered.closed) signalEvent(this.answered.fd);
  }

  /** Whether frames wait for the worker, or their answers for `take`. */
  get waiting(): boolean {
    return this.#tail !== this.ring.head;
  }

  /** The worker has ended. What it left unanswered gets its default before this returns. */
  close(): void {
    this.abandon();
    this.#access?.listen(this, []);
    this.answered.close();
  }
}
