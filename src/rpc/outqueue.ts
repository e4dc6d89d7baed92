// SPDX-License-Identifier: MIT
import type { Socket } from "node:net";
import type { LostEvent } from "../events/index.js";
import type { ServerMessage } from "./protocol.js";

/**
 * What waits for one client. Answers always go in (their number is bounded by the requests under way); stream items go
 * in while fewer than `limit` bytes wait, and are counted otherwise. When the client reads again, a `lost` item says how
 * many it missed.
 */
export class OutQueue {
  /** Stream items dropped because the client did not read, since the start. */
  dropped = 0;
  readonly #socket: Socket;
  readonly #limit: number;
  readonly #name: string;
  #batch: string[] = [];
  #batched = 0;
  #scheduled: NodeJS.Immediate | undefined;
  readonly #missed = new Map<number, number>();

  constructor(socket: Socket, limit: number, name: string) {
    this.#socket = socket;
    this.#limit = limit;
    this.#name = name;
    socket.on("drain", () => this.#reportLosses());
  }

  /** Characters that wait. */
  get queued(): number {
    return this.#batched + this.#socket.writableLength;
  }

  get full(): boolean {
    return this.queued > this.#limit;
  }

  message(message: ServerMessage): void {
    this.#push(`${JSON.stringify(message)}\n`);
  }

  /** Queues an item of the subscription `id`; returns false when it was dropped. */
  item(id: number, item: unknown): boolean {
    if (this.#missed.size > 0 && this.#missed.has(id)) {
      // Order tells: nothing goes in between the gap and the report of the gap.
      this.#miss(id);
      return false;
    }
    if (this.full) {
      this.#miss(id);
      return false;
    }
    this.#push(`{"id":${id},"item":${JSON.stringify(item)}}\n`);
    return true;
  }

  /** Forgets a subscription that ended. */
  forget(id: number): void {
    this.#missed.delete(id);
  }

  close(): void {
    if (this.#scheduled !== undefined) clearImmediate(this.#scheduled);
    this.#scheduled = undefined;
    this.#batch = [];
    this.#batched = 0;
    this.#missed.clear();
  }

  /** Hands everything to the socket now. */
  flush(): void {
    this.#scheduled = undefined;
    if (this.#batch.length === 0 || this.#socket.destroyed) return;
    const text = this.#batch.join("");
    this.#batch = [];
    this.#batched = 0;
    if (this.#socket.write(text)) this.#reportLosses();
  }

  #miss(id: number): void {
    this.dropped++;
    this.#missed.set(id, (this.#missed.get(id) ?? 0) + 1);
  }

  #push(text: string): void {
    this.#batch.push(text);
    this.#batched += text.length;
    this.#scheduled ??= setImmediate(() => this.flush());
  }

  #reportLosses(): void {
    if (this.#missed.size === 0) return;
    const time = new Date().toISOString();
    const missed = [...this.#missed];
    this.#missed.clear();
    for (const [id, count] of missed) {
      const item: LostEvent = { type: "lost", time, where: "reader", name: this.#name, count };
      this.#push(`{"id":${id},"item":${JSON.stringify(item)}}\n`);
    }
  }
}
