// SPDX-License-Identifier: MIT
import { isMainThread } from "node:worker_threads";
import { EPOLLIN, POLLERR, POLLIN, POLLOUT, Poll, wakeSend } from "../linux/index.js";
import { Loop } from "../loop/index.js";
import type { Engine } from "./engine.js";
import { failureOf, pendingError, type Where } from "./failure.js";
import type { Cursor } from "./frame.js";
import { type FrameHandler, turn } from "./turn.js";

/**
 * How a socket waits for frames.
 *
 * - `loop`: in Node's own event loop, together with everything else. The default on the main thread.
 * - `poll`: in poll(2), which blocks the thread for at most `yieldMs` at a time. The default in a worker; a few
 *   microseconds less per wake-up.
 * - `spin`: not at all. Takes the whole CPU, and answers soonest.
 */
export type Wait = "loop" | "poll" | "spin";

export interface ServeOptions {
  wait?: Wait;
  /** Ends it. */
  signal?: AbortSignal;
  /** Frames of one batch; 64 by default. */
  batch?: number;
  /** Milliseconds after which `poll` and `spin` let timers, signals and other work have their turn; 10 by default. */
  yieldMs?: number;
  /** The event loop to wait in, with `loop`; one of its own by default. */
  loop?: Loop;
}

const BATCH = 64;
const YIELD_MS = 10;
/** How often an idle socket looks whether its interface is still up: the kernel says nothing by itself. */
const LOOK_MS = 250;
/** While frames are on their way back to a pool that ran dry, nothing else would wake us. */
const REAP_MS = 1;

/** @internal Serves until `stopped` or the caller's signal is aborted. */
export async function serve(
  engine: Engine,
  cursor: Cursor,
  handler: FrameHandler,
  where: Where,
  stopped: AbortSignal,
  options: ServeOptions,
): Promise<void> {
  const signal = options.signal === undefined ? stopped : AbortSignal.any([stopped, options.signal]);
  if (signal.aborted) return;
  const wait = options.wait ?? (isMainThread ? "loop" : "poll");
  const run = wait === "loop" ? inLoop : inPlace;
  await run({ engine, cursor, handler, where, signal, options });
}

interface Service {
  readonly engine: Engine;
  readonly cursor: Cursor;
  readonly handler: FrameHandler;
  readonly where: Where;
  readonly signal: AbortSignal;
  readonly options: ServeOptions;
}

/** The interface may be down, or gone. */
function look(engine: Engine): void {
  engine.fail(-wakeSend(engine.fd));
}

/** In `poll` or `spin`: this thread does nothing else for `yieldMs` at a time. */
async function inPlace({ engine, cursor, handler, where, signal, options }: Service): Promise<void> {
  const batch = options.batch ?? BATCH;
  const yieldMs = options.yieldMs ?? YIELD_MS;
  const spin = options.wait === "spin";
  const poll = new Poll([engine.fd]);
  // Half of it, so that a wait that began late does not make the turn of the others twice as late.
  const timeout = Math.max(1, yieldMs >> 1);
  let looked = Date.now();
  while (!signal.aborted) {
    const began = Date.now();
    let now = began;
    // The clock is read once a wake-up. It may be set back: that ends the turn, too.
    while (now - began < yieldMs && now >= began) {
      const before = engine.counters.received;
      const n = drain(engine, cursor, handler, batch);
      if (engine.failure !== 0 || engine.fd < 0 || signal.aborted) break;
      if (engine.counters.received !== before) looked = now;
      if (!spin) {
        engine.counters.waits++;
        poll.want(0, n < 0 ? POLLOUT : POLLIN);
        const ready = poll.wait(engine.waiting ? REAP_MS : timeout);
        if (ready > 0 && (poll.ready(0) & POLLERR) !== 0) engine.fail(pendingError(engine.fd));
      }
      now = Date.now();
    }
    if (engine.failure === 0 && engine.fd >= 0 && Math.abs(now - looked) > LOOK_MS) {
      looked = now;
      look(engine);
    }
    if (engine.failure !== 0 && !signal.aborted) throw failureOf(engine.failure, where);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Batches until there is nothing, or no room, or the time is worth a look. */
function drain(engine: Engine, cursor: Cursor, handler: FrameHandler, batch: number): number {
  let n = 0;
  for (let i = 0; i < 16; i++) {
    n = turn(engine, cursor, handler, batch);
    if (n <= 0 || engine.fd < 0 || engine.failure !== 0) return n;
  }
  return n;
}

/** In the event loop: the socket is one descriptor among all. */
function inLoop({ engine, cursor, handler, where, signal, options }: Service): Promise<void> {
  const batch = options.batch ?? BATCH;
  const loop = options.loop ?? new Loop();
  return new Promise((resolve, reject) => {
    let seen = -1;
    let reaping: { close(): void } | undefined;
    const end = (error?: unknown): void => {
      signal.removeEventListener("abort", stop);
      watched.close();
      looking.close();
      reaping?.close();
      if (options.loop === undefined) loop.close();
      if (error === undefined) resolve();
      else reject(error);
    };
    const stop = (): void => end();
    const work = (budget: number): void => {
      try {
        for (let left = budget; left > 0; ) {
          const n = turn(engine, cursor, handler, Math.min(batch, left));
          if (engine.failure !== 0) throw failureOf(engine.failure, where);
          if (signal.aborted || n <= 0) break;
          left -= n;
        }
        if (!engine.waiting || signal.aborted || reaping !== undefined) return;
        reaping = loop.after(REAP_MS, () => {
          reaping = undefined;
          work(batch);
        });
      } catch (error) {
        if (!signal.aborted) end(error);
      }
    };
    const watched = loop.watch(
      engine.fd,
      (events, budget) => {
        engine.counters.waits++;
        if ((events & POLLERR) !== 0) engine.fail(pendingError(engine.fd));
        work(budget);
      },
      EPOLLIN,
    );
    const looking = loop.every(LOOK_MS, () => {
      const { received } = engine.counters;
      if (received === seen) look(engine);
      seen = received;
      if (engine.failure !== 0) end(failureOf(engine.failure, where));
    });
    signal.addEventListener("abort", stop, { once: true });
  });
}
