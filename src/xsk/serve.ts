// SPDX-License-Identifier: MIT
import { isMainThread } from "node:worker_threads";
import { EPOLLIN, POLLERR } from "../linux/index.js";
import { Loop } from "../loop/index.js";
import type { Engine } from "./engine.js";
import { checkHandler, checkServe } from "./check.js";
import { suspicious } from "./foreign.js";
import { failureOf, pendingError, type Where } from "./failure.js";
import type { Cursor } from "./frame.js";
import { turnLarge } from "./large.js";
import { inPlace } from "./rounds.js";
import { look, REAP_MS, type Service } from "./service.js";
import { type FrameHandler, type Turn, turnOf } from "./turn.js";

/**
 * How a socket waits for frames.
 *
 * - `loop`: in Node's own event loop, together with everything else. The default on the main thread.
 * - `poll`: in poll(2), which blocks the thread for at most `yieldMs` at a time, together with all others that the thread
 *   serves so. The default in a worker; a few microseconds less per wake-up.
 * - `spin`: not at all. Takes the whole CPU, and answers soonest.
 */
export type Wait = "loop" | "poll" | "spin";

export interface ServeOptions {
  wait?: Wait;
  /** Ends it. */
  signal?: AbortSignal;
  /**
   * Frames of one batch at the most, after which the kernel is told what was done; 256 by default. Never more than half of the TX
   * ring, so that a handler has room for packets of its own.
   */
  batch?: number;
  /** Milliseconds after which `poll` and `spin` let timers, signals and other work have their turn; 50 by default. */
  yieldMs?: number;
  /**
   * It ends after so many packets: `left` is counted down, and what comes after the last stays in the ring, unseen. Sockets
   * that one thread serves may share one; each ends when it next looks and none is left.
   */
  limit?: { left: number };
  /** The event loop to wait in, with `loop`; one of its own by default. */
  loop?: Loop;
}

const BATCH = 256;
const YIELD_MS = 50;
/** How often an idle socket looks whether its interface is still up: the kernel says nothing by itself. */
const LOOK_MS = 250;

/** @internal How the frames of a socket are taken in. */
export function turnFor(engine: Engine, cursor: Cursor): Turn {
  const large = engine.multiBuffer || engine.umem.metadata !== undefined;
  const turn: Turn = large ? (handler, budget) => turnLarge(engine, cursor, handler, budget) : turnOf(engine, cursor);
  return engine.foreign ? suspicious(engine, turn) : turn;
}

/** @internal Serves until `stopped` or the caller's signal is aborted. */
export async function serve(
  engine: Engine,
  turn: Turn,
  handler: FrameHandler,
  where: Where,
  stopped: AbortSignal,
  options: ServeOptions,
): Promise<void> {
  checkHandler(handler);
  checkServe(options);
  const { limit } = options;
  const over = new AbortController();
  const signals = [stopped, over.signal, ...(options.signal === undefined ? [] : [options.signal])];
  const signal = AbortSignal.any(signals);
  if (signal.aborted) return;
  const wait = options.wait ?? (isMainThread ? "loop" : "poll");
  const { yieldMs = YIELD_MS } = options;
  const batch = Math.min(options.batch ?? BATCH, Math.max(1, engine.tx.size >> 1));
  const spin = wait === "spin";
  const service: Service = {
    engine,
    handler,
    turn: limit === undefined ? turn : limited(turn, limit, over),
    where,
    signal,
    batch,
    yieldMs,
    spin,
  };
  await (wait === "loop" ? inLoop(service, options.loop) : inPlace(service));
}

/** A turn of no more packets than are left. */
function limited(turn: Turn, limit: { left: number }, over: AbortController): Turn {
  return (handler, budget) => {
    let n = 0;
    if (limit.left > 0) {
      n = turn(handler, Math.min(budget, limit.left));
      if (n > 0) limit.left -= n;
    }
    if (limit.left <= 0) over.abort();
    return n;
  };
}

/** In the event loop: the socket is one descriptor among all. */
function inLoop({ engine, handler, turn, where, signal, batch }: Service, given?: Loop): Promise<void> {
  const loop = given ?? new Loop();
  return new Promise((resolve, reject) => {
    let seen = -1;
    let reaping: { close(): void } | undefined;
    const end = (error?: unknown): void => {
      signal.removeEventListener("abort", stop);
      watched.close();
      looking.close();
      reaping?.close();
      if (given === undefined) loop.close();
      if (error === undefined) resolve();
      else reject(error);
    };
    const stop = (): void => end();
    const work = (budget: number): void => {
      try {
        for (let left = budget; left > 0; ) {
          const n = turn(handler, Math.min(batch, left));
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
