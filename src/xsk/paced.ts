// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import type { XskSocket } from "./socket.js";
import type { FrameHandler } from "./turn.js";

export interface PacedOptions {
  /** Packets a second; as fast as it goes by default. */
  rate?: number;
  /** Packets in all; without end by default. */
  count?: number;
  /** Seconds after which it ends. */
  seconds?: number;
  /** Ends it. */
  signal?: AbortSignal;
  /** Packets of one batch; 64 by default. */
  batch?: number;
}

export interface PacedResult {
  /** Packets that were given to the kernel. */
  readonly sent: number;
  /** From the first packet's turn until the last one's; with a rate the last packet's own interval is in it. */
  readonly seconds: number;
  /** Packets a second, over that time. */
  readonly rate: number;
}

/** After so many milliseconds timers, signals and other work have their turn. */
const YIELD_MS = 10;
/** The shortest wait that is worth a call: the kernel makes some 60 µs more of it. */
const SHORTEST_MS = 0.02;
/** No wait is longer, so that signals are heard. */
const LONGEST_MS = 10;
/** So long nothing could be sent: it ends. */
const STUCK_MS = 1000;
/** So long it waits for the kernel to send the last. */
const DRAIN_MS = 200;

const never = new Int32Array(new SharedArrayBuffer(4));

/**
 * Sends packets of the program's own making at a rate, by `produce`. Each packet has its time on one clock, from the first
 * on: what is late is made up for, and nothing adds up. Between two packets the thread sleeps, for a tenth of a millisecond or
 * more; at rates above 10,000 a second they therefore go in small bursts. When the kernel can't keep up, the rate is the
 * kernel's: look at the result.
 *
 * Ends when all are sent, the time is over, the signal is aborted, the socket is closed, or the handler leaves a frame
 * unsent for a second. Errors: those of `produce`; XDPCTL_E_USAGE.
 */
export async function sendPaced(
  socket: XskSocket,
  handler: FrameHandler,
  options: PacedOptions = {},
): Promise<PacedResult> {
  const { rate = Number.POSITIVE_INFINITY, count = Number.POSITIVE_INFINITY, batch = 64 } = options;
  const { seconds: limit = Number.POSITIVE_INFINITY, signal } = options;
  const whole = Number.isInteger(batch) && (Number.isInteger(count) || count === Number.POSITIVE_INFINITY);
  if (!(whole && rate > 0 && count >= 0 && batch >= 1 && limit >= 0))
    throw new XdpctlError(
      "XDPCTL_E_USAGE",
      "a rate is more than 0, a batch 1 at least, a count or a time not negative",
    );
  const started = performance.now();
  const end = started + limit * 1000;
  const perMs = rate / 1000;
  let sent = 0;
  let now = started;
  let moved = started;
  while (sent < count && now < end && signal?.aborted !== true && !socket.closed) {
    const until = now + YIELD_MS;
    do {
      // The first packet is due at once, the next after one interval.
      const due = Math.min(count, perMs === Number.POSITIVE_INFINITY ? count : Math.floor((now - started) * perMs) + 1);
      const wanted = Math.min(batch, due - sent);
      if (wanted > 0) {
        const n = socket.produce(wanted, handler);
        sent += n;
        if (n > 0) moved = now;
        else if (now - moved > STUCK_MS) return result(sent, now - started, rate);
        else if (!socket.closed) socket.writable(1);
      } else {
        const wait = Math.min(started + sent / perMs, end) - now;
        if (wait > SHORTEST_MS) Atomics.wait(never, 0, 0, Math.min(wait, LONGEST_MS));
      }
      now = performance.now();
    } while (now < until && sent < count && now < end && !socket.closed);
    await new Promise((resolve) => setImmediate(resolve));
    now = performance.now();
  }
  await drained(socket, handler);
  return result(sent, now - started, rate);
}

/** Closing the socket would drop what the kernel has not sent yet. */
async function drained(socket: XskSocket, handler: FrameHandler): Promise<void> {
  const deadline = performance.now() + DRAIN_MS;
  while (!socket.closed && socket.engine.sending > 0 && performance.now() < deadline) {
    socket.produce(0, handler);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function result(sent: number, ms: number, rate: number): PacedResult {
  // The last packet of a paced run takes its interval, too: 10 packets at 10 a second are a second.
  const seconds = Math.max(ms / 1000, rate === Number.POSITIVE_INFINITY ? 0 : sent / rate);
  return { sent, seconds, rate: seconds > 0 ? sent / seconds : 0 };
}
