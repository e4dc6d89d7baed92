// SPDX-License-Identifier: MIT
import { closeSync, constants, fstatSync, openSync } from "node:fs";
import { EPOLLOUT, errno, MSG_DONTWAIT, sendFd, writeFd } from "../linux/index.js";
import type { Loop, LoopHandle } from "./loop.js";

export interface OutputOptions {
  /** Bytes that may wait; 1 MiB by default. */
  limit?: number;
}

/**
 * Writes to a terminal, pipe, socket or file without ever waiting for its reader.
 *
 * Node writes to terminals and pipes synchronously, so a reader that stops would stop the event loop. Here the same file
 * is opened again, non-blocking (which leaves the shared open file of our parent untouched); what the reader does not
 * take waits in a bounded queue, and lines beyond the bound are dropped and counted.
 */
export class Output implements Disposable {
  /** Lines dropped because the reader was too slow, since the start. */
  dropped = 0;
  /** Called once when the reader is gone (EPIPE): the usual answer is to end. */
  onClosed: (() => void) | undefined;
  readonly #loop: Loop;
  readonly #limit: number;
  readonly #fd: number;
  readonly #own: boolean;
  readonly #socket: boolean;
  #queue: Buffer[] = [];
  #queued = 0;
  #watch: LoopHandle | undefined;
  #gone = false;
  #unreported = 0;
  #frame: Buffer | undefined;
  readonly #waiting: (() => void)[] = [];

  constructor(loop: Loop, fd: number, options: OutputOptions = {}) {
    this.#loop = loop;
    this.#limit = options.limit ?? 1 << 20;
    const stat = fstatSync(fd);
    this.#socket = stat.isSocket();
    let own = fd;
    if (stat.isFIFO() || stat.isCharacterDevice()) {
      try {
        own = openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
      } catch {
        // A terminal of another user can't be opened again: then writes may wait, as everyone's do.
      }
    }
    this.#fd = own;
    this.#own = own !== fd;
  }

  /** Bytes that wait for the reader. */
  get queued(): number {
    return this.#queued;
  }

  /** Queues one or more whole lines, or a block of bytes. Returns false when they were dropped. */
  write(text: string | Uint8Array): boolean {
    if (this.#gone) return false;
    const bytes = Buffer.from(text as string);
    if (this.#queued + bytes.length > this.#limit) {
      const lines = typeof text === "string" ? text.split("\n").length - 1 || 1 : 1;
      this.dropped += lines;
      this.#unreported += lines;
      return false;
    }
    this.#push(bytes);
    return true;
  }

  /** Replaces a redraw that was not yet started by a newer one: only the latest frame is ever worth showing. */
  redraw(text: string): void {
    if (this.#gone) return;
    if (this.#queue.length === 0) this.#push(Buffer.from(text));
    else this.#frame = Buffer.from(text);
  }

  #push(bytes: Buffer): void {
    this.#queue.push(bytes);
    this.#queued += bytes.length;
    if (this.#watch === undefined) this.#flush();
  }

  #flush(): void {
    while (this.#queue.length > 0) {
      const head = this.#queue[0] as Buffer;
      const n = this.#socket ? sendFd(this.#fd, head, MSG_DONTWAIT) : writeFd(this.#fd, head);
      if (n === -errno.EAGAIN) {
        this.#watch ??= this.#loop.watch(this.#fd, () => this.#flush(), EPOLLOUT);
        return;
      }
      if (n < 0) {
        this.#end();
        return;
      }
      this.#queued -= n;
      if (n === head.length) this.#queue.shift();
      else this.#queue[0] = head.subarray(n);
      if (this.#queue.length === 0) this.#refill();
    }
    this.#watch?.close();
    this.#watch = undefined;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  #refill(): void {
    if (this.#unreported > 0) {
      const notice = Buffer.from(`… ${this.#unreported} lines dropped: the reader was too slow\n`);
      this.#unreported = 0;
      this.#queue.push(notice);
      this.#queued += notice.length;
    }
    if (this.#frame !== undefined) {
      this.#queue.push(this.#frame);
      this.#queued += this.#frame.length;
      this.#frame = undefined;
    }
  }

  #end(): void {
    this.#gone = true;
    this.#queue = [];
    this.#queued = 0;
    this.#watch?.close();
    this.#watch = undefined;
    for (const resolve of this.#waiting.splice(0)) resolve();
    this.onClosed?.();
  }

  /** Resolves when all is written, or the reader is gone, or `ms` have passed. */
  async drained(ms = 1000): Promise<void> {
    if (this.#queued === 0 || this.#gone) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#waiting.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  close(): void {
    this.#watch?.close();
    this.#watch = undefined;
    this.#queue = [];
    this.#queued = 0;
    if (this.#own && !this.#gone) closeSync(this.#fd);
    this.#gone = true;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
