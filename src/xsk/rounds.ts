// SPDX-License-Identifier: MIT
import { Nap, POLLERR, POLLIN, POLLOUT, Poll } from "../linux/index.js";
import { failureOf, pendingError } from "./failure.js";
import { look, REAP_MS, type Service } from "./service.js";

/** How often an idle socket looks whether its interface is still up: the kernel says nothing by itself. */
const LOOK_MS = 250;
/** Batches of one socket before the others, and the clock, have their turn; and of the only one. */
const BATCHES = 8;
const BATCHES_ALONE = 32;
/**
 * Under load a thread that polls at once is woken for each handful of frames, which costs it more than the frames, and the
 * sender as well. So a round that found this many frames, or that comes when so many came in a millisecond, is followed by a
 * nap in which more come, instead of a poll: 50 µs, and as much again of timer slack. Fewer are answered as soon as they come.
 */
const GATHER_FROM = 32;
const GATHER_PER_MS = 200;
const GATHER_US = 50;

/** A socket that takes part, and who waits for its end. */
interface Part {
  readonly service: Service;
  /** Its signal is aborted: a field costs less than the question, which runs a getter of Node's between a frame and its answer. */
  over: boolean;
  /** The clock when it last received something, or was looked at. */
  looked: number;
  resolve(): void;
  reject(error: unknown): void;
}

/**
 * The sockets that this thread serves by `poll` and `spin`, in turns: they wait in one poll(2), so that none makes the others
 * wait.
 */
const parts: Part[] = [];
let poll: Poll | undefined;
let going = false;
let nap: Nap | undefined;
/** Whether the last round says that a nap is better than a poll. */
let gather = false;
/** Of the last round: the frames of the socket that had most, and whether the rings have room for what comes in a nap. */
let peak = 0;
let fits = false;
/** Frames a millisecond, over the last one or more; and those that came since the clock moved. */
let rate = 0;
let came = 0;
let clock = 0;

/** Serves until the signal is aborted. This thread does nothing else for `yieldMs` at a time. */
export function inPlace(service: Service): Promise<void> {
  return new Promise((resolve, reject) => {
    const { signal } = service;
    const part: Part = { service, over: signal.aborted, looked: Date.now(), resolve, reject };
    const stop = (): void => {
      part.over = true;
    };
    signal.addEventListener("abort", stop, { once: true });
    parts.push(part);
    poll = undefined;
    if (going) return;
    going = true;
    // Those that are served from the same turn of the event loop begin together.
    setImmediate(() => void go());
  });
}

async function go(): Promise<void> {
  while (parts.length > 0) {
    turns();
    const now = Date.now();
    for (const part of [...parts]) {
      const { engine, where } = part.service;
      const serves = engine.failure === 0 && engine.fd >= 0 && !part.over;
      if (serves && Math.abs(now - part.looked) > LOOK_MS) {
        part.looked = now;
        look(engine);
      }
      if (part.over || engine.fd < 0) leave(part);
      else if (engine.failure !== 0) leave(part, failureOf(engine.failure, where));
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  going = false;
}

function leave(part: Part, error?: unknown): void {
  const at = parts.indexOf(part);
  if (at < 0) return;
  parts.splice(at, 1);
  poll = undefined;
  if (error === undefined) part.resolve();
  else part.reject(error);
}

/** Rounds over all sockets, until it is time for Node's own work, or one of them ends. */
function turns(): void {
  let yieldMs = Number.POSITIVE_INFINITY;
  let spin = false;
  let driven = false;
  for (const { service } of parts) {
    yieldMs = Math.min(yieldMs, service.yieldMs);
    spin ||= service.spin;
    driven ||= service.engine.busyPoll;
  }
  // Half of it, so that a wait that began late does not make the turn of the others twice as late.
  const timeout = Math.max(1, yieldMs >> 1);
  const began = Date.now();
  for (;;) {
    if (!round()) return;
    // The clock is read once a round, when the answers are out. It may be set back: that ends the turns, too.
    const now = Date.now();
    measure(now);
    if (now - began >= yieldMs || now < began) return;
    // With busy polling it is the call that drives the driver.
    if (spin && driven) wait(0);
    else if (!spin && gather && !driven) rest();
    else if (!spin) wait(timeout);
  }
}

/** A turn of each; false when one has ended, or another has begun meanwhile. */
function round(): boolean {
  poll ??= new Poll(parts.map(({ service }) => service.engine.fd));
  const ours = poll;
  let most = 0;
  let time = true;
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i] as Part;
    const { engine } = part.service;
    // The handler of one before it may have closed or stopped it.
    if (engine.failure !== 0 || engine.fd < 0 || part.over) return false;
    const before = engine.counters.received;
    let n = 0;
    try {
      n = drain(part.service);
    } catch (error) {
      leave(part, part.over ? undefined : error);
      return false;
    }
    if (engine.failure !== 0 || engine.fd < 0 || part.over) return false;
    const got = engine.counters.received - before;
    came += got;
    if (got !== 0) part.looked = clock;
    if (got > most) most = got;
    // Not where a ring fills up meanwhile, or the kernel has few frames left to receive into until some come back.
    if (n !== 0 || 4 * got > engine.rx.size || 2 * engine.owed > engine.fill.size) time = false;
    ours.want(i, n < 0 ? POLLOUT : POLLIN);
  }
  fits = time;
  peak = most;
  return poll === ours;
}

/** Whether a nap is to follow the round. */
function measure(now: number): void {
  if (now !== clock) {
    rate = came / Math.max(1, now - clock);
    came = 0;
    clock = now;
  }
  gather = fits && (peak >= GATHER_FROM || rate >= GATHER_PER_MS);
}

/** Batches until there is nothing, or no room, or the others are to be looked at. */
function drain({ engine, handler, batch, turn }: Service): number {
  const most = parts.length > 1 ? BATCHES : BATCHES_ALONE;
  let n = 0;
  for (let i = 0; i < most; i++) {
    n = turn(handler, batch);
    if (n <= 0 || engine.fd < 0 || engine.failure !== 0) return n;
    // That was all, and all of it is on its way: what came meanwhile can wait, unless it is a batch again.
    if (n < batch && !engine.unsent && engine.rx.available() < GATHER_FROM) return 0;
  }
  return n;
}

function rest(): void {
  nap ??= new Nap(GATHER_US);
  for (let i = 0; i < parts.length; i++) (parts[i] as Part).service.engine.counters.waits++;
  nap.take();
}

function wait(timeout: number): void {
  const ours = poll;
  if (ours === undefined) return;
  let ms = timeout;
  for (let i = 0; i < parts.length; i++) {
    const { engine } = (parts[i] as Part).service;
    engine.counters.waits++;
    if (engine.waiting) ms = Math.min(ms, REAP_MS);
  }
  if (ours.wait(ms) <= 0) return;
  for (let i = 0; i < parts.length; i++) {
    const { engine } = (parts[i] as Part).service;
    if ((ours.ready(i) & POLLERR) !== 0) engine.fail(pendingError(engine.fd));
  }
}
