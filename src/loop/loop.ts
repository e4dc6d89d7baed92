// SPDX-License-Identifier: MIT
import type { node as KoffiNode } from "koffi";
import { isMainThread } from "node:worker_threads";
import { XdpctlError } from "../errors/index.js";
import { EPOLLIN, Epoll, koffi, TimerFd } from "../linux/index.js";

/**
 * Called when a descriptor is ready, with `budget`: how many units (records, messages, lines) it may handle in this turn.
 * What is left over is handled in the next turn, after timers, signals and input had theirs.
 */
export type ReadyHandler = (events: number, budget: number) => void;

export interface LoopOptions {
  /** Units one source may handle in one turn; 4096 by default. */
  budget?: number;
  /** Where an exception of a handler goes; without it, it is thrown out of Node's loop. */
  onError?: (error: unknown) => void;
}

export interface LoopHandle extends Disposable {
  close(): void;
}

/**
 * One epoll instance for everything that the kernel reports through descriptors, woken by Node's own loop.
 *
 * The epoll descriptor is itself watched by libuv (`koffi.node.poll`), so nothing blocks, no thread waits, and Node's
 * timers, signals and input are served between the turns. Main thread only: a poll handle in a worker crashes the
 * process when the worker ends.
 */
export class Loop implements Disposable {
  readonly #epoll = new Epoll();
  readonly #handlers = new Map<number, ReadyHandler>();
  readonly #peeks = new Map<number, () => boolean>();
  readonly #budget: number;
  readonly #onError: ((error: unknown) => void) | undefined;
  // Unreferenced poll handles are collected at once and never fire.
  #poll: KoffiNode.PollHandle | undefined;
  #closed = false;

  constructor(options: LoopOptions = {}) {
    if (!isMainThread) throw new XdpctlError("XDPCTL_E_NOT_SUPPORTED", "the event loop runs on the main thread only");
    this.#budget = options.budget ?? 4096;
    this.#onError = options.onError;
  }

  /** How many descriptors it watches. */
  get size(): number {
    return this.#handlers.size;
  }

  /**
   * Watches `fd` (level-triggered) until the handle is closed. The descriptor stays the caller's. `peek` says whether
   * something waits where that shows in memory: what does is handled before the kernel is asked what else is ready.
   */
  watch(fd: number, handler: ReadyHandler, events: number = EPOLLIN, peek?: () => boolean): LoopHandle {
    this.#assertOpen();
    this.#epoll.add(fd, events);
    this.#handlers.set(fd, handler);
    if (peek !== undefined) this.#peeks.set(fd, peek);
    this.#wake();
    let open = true;
    const close = (): void => {
      if (!open) return;
      open = false;
      if (this.#closed) return;
      this.#epoll.remove(fd);
      this.#handlers.delete(fd);
      this.#peeks.delete(fd);
      if (this.#handlers.size === 0) this.#sleep();
    };
    return { close, [Symbol.dispose]: close };
  }

  /**
   * Calls `handler` every `ms` milliseconds, from a timerfd. `missed` counts the expirations that were skipped because
   * the turn came late.
   */
  every(ms: number, handler: (missed: number) => void): LoopHandle {
    return this.#timer(ms, ms, handler);
  }

  /** Calls `handler` once, after `ms` milliseconds. */
  after(ms: number, handler: () => void): LoopHandle {
    const handle = this.#timer(ms, 0, () => {
      handle.close();
      handler();
    });
    return handle;
  }

  #timer(first: number, interval: number, handler: (missed: number) => void): LoopHandle {
    const timer = new TimerFd();
    // A zero first expiry would disarm the timer.
    timer.set(Math.max(first, 0.001), interval);
    const watched = this.watch(timer.fd, () => {
      const n = timer.expirations();
      if (n > 0) handler(n - 1);
    });
    const close = (): void => {
      watched.close();
      timer.close();
    };
    return { close, [Symbol.dispose]: close };
  }

  #assertOpen(): void {
    if (this.#closed) throw new XdpctlError("XDPCTL_E_INTERNAL", "the event loop is closed");
  }

  #wake(): void {
    this.#poll ??= koffi().node.poll(this.#epoll.fd, () => this.turn());
  }

  #sleep(): void {
    this.#poll?.stop();
    this.#poll?.close();
    this.#poll = undefined;
  }

  /** One turn: every ready descriptor once. libuv calls it; a benchmark or a test may. Returns how many were ready. */
  turn(): number {
    if (this.#closed) return 0;
    let early = 0;
    for (const [fd, peek] of this.#peeks) {
      if (!peek()) continue;
      this.#handle(fd, EPOLLIN);
      early++;
    }
    if (this.#closed) return early;
    // A source that had its turn already gets no second one.
    const handled = early > 0 ? this.#peeks : undefined;
    return (
      early +
      this.#epoll.wait((fd, events) => {
        if (handled?.has(fd) !== true) this.#handle(fd, events);
      })
    );
  }

  #handle(fd: number, events: number): void {
    const handler = this.#handlers.get(fd);
    if (handler === undefined) return;
    try {
      handler(events, this.#budget);
    } catch (error) {
      if (this.#onError === undefined) throw error;
      this.#onError(error);
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#sleep();
    this.#handlers.clear();
    this.#peeks.clear();
    this.#epoll.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
