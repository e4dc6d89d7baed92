// SPDX-License-Identifier: MIT
import type { Engine } from "./engine.js";
import { type Cursor, type Frame, Verdict } from "./frame.js";
import { OWNER } from "./owners.js";

/** Is called for each received frame, with the one cursor. It must not be asynchronous. */
export type FrameHandler = (frame: Frame) => void;

/**
 * One batch of a socket: shows up to `budget` received frames to `handler`, then tells the kernel once of all that was done.
 * Returns how many there were; -1 when frames wait but the TX ring has no room, so that they wait, too.
 */
export type Turn = (handler: FrameHandler, budget: number) => number;

/** Sockets that a batch forwarded to. */
const touched: Engine[] = [];

/**
 * The turn of a socket whose packets are of one frame each. Nothing is allocated, and the kernel is called only to wake it.
 *
 * It is a function of each socket's own: what is assigned once (rings, masks, the UMEM's views), V8 then writes into the machine
 * code instead of loading it for each frame, as long as the thread has opened no other; with several it is loaded. For that,
 * fields must not be defined first and assigned then: `useDefineForClassFields` is off in tsconfig.json.
 */
export function turnOf(engine: Engine, cursor: Cursor): Turn {
  return (handler, budget) => {
    const { rx, tx, fill, umem } = engine;
    let n = rx.available();
    if (n === 0) {
      recycle(engine);
      umem.kick();
      return 0;
    }
    if (2 * engine.owed > fill.size) recycle(engine);
    if (n > budget) n = budget;
    const room = engine.room(n);
    if (room <= 0) return -1;
    // The other half is for what the handler sends besides the frames of the batch.
    if (n << 1 > room) n = (room + 1) >> 1;

    // Everything that stays the same for the batch is a local: V8 would load it anew after each call of the handler.
    const { slots, mask } = rx;
    const { owners, frameSize, unaligned } = umem;
    const fillSlots = fill.slots;
    const fillMask = fill.mask;
    const txSlots = tx.slots;
    const txMask = tx.mask;
    const frameMask = unaligned ? -1 : -frameSize;
    const first = rx.consumer;
    const last = (first + n) | 0;
    let at = first;
    let to = fill.producer;
    let bytes = 0;
    let dropped = 0;
    let inHand = -1;
    engine.begin(n);
    try {
      while (at !== last) {
        const slot = (at & mask) << 2;
        const address = (slots[slot] as number) | 0;
        const length = (slots[slot | 2] as number) | 0;
        const frame = address & frameMask;
        // Unaligned, the kernel keeps the frame's address and puts the offset into the upper 16 bits; aligned, they are zero.
        const start = unaligned ? (address + ((slots[slot | 1] as number) >>> 16)) | 0 : address;
        cursor.first = frame;
        cursor.limit = (frame + frameSize) | 0;
        cursor.start = start;
        cursor.end = (start + length) | 0;
        cursor.verdict = Verdict.drop;
        bytes = (bytes + length) | 0;
        if (owners !== undefined) owners.move(frame, OWNER.fill, OWNER.user);
        at = (at + 1) | 0;
        inHand = frame;
        handler(cursor);
        inHand = -1;
        // It has closed the socket: all of its frames will be free.
        if (engine.fd < 0) break;
        const { verdict } = cursor;
        if (verdict === Verdict.send) {
          const begin = cursor.start;
          const end = cursor.end;
          if (begin >= frame && end > begin && end <= cursor.limit) {
            if (owners !== undefined) owners.move(frame, OWNER.user, OWNER.tx);
            const out = ((tx.producer + engine.staged) & txMask) << 2;
            txSlots[out] = begin;
            txSlots[out | 2] = end - begin;
            engine.staged = (engine.staged + 1) | 0;
            continue;
          }
          engine.counters.invalid++;
        } else if (verdict === Verdict.drop) dropped = (dropped + 1) | 0;
        else if (verdict === Verdict.taken) {
          engine.counters.taken++;
          continue;
        } else if (elsewhere(engine, cursor, frame)) continue;
        if (owners !== undefined) owners.move(frame, OWNER.user, OWNER.fill);
        fillSlots[(to & fillMask) << 1] = frame;
        to = (to + 1) | 0;
      }
    } finally {
      // What a handler threw on is dropped; its frame is not lost.
      if (inHand >= 0 && engine.fd >= 0 && cursor.verdict !== Verdict.taken) {
        umem.give(inHand, OWNER.user);
        dropped = (dropped + 1) | 0;
      }
      finish(engine, (at - first) | 0, (to - fill.producer) | 0, bytes);
      engine.counters.dropped += dropped;
    }
    // After the answers are on their way: in copy mode many are sent by now, too. The rest can wait.
    if (engine.sending !== 0 && engine.fd >= 0) engine.reap();
    return n;
  };
}

/** Takes back what was sent, and gives the fill ring what it lacks. */
function recycle(engine: Engine): void {
  if (engine.sending !== 0) engine.reap();
  if (engine.owed !== 0) engine.pay();
}

/** @internal A frame's way to another socket; false when it could not go. */
export function elsewhere(from: Engine, cursor: Cursor, frame: number): boolean {
  const { counters, umem } = from;
  const engine = cursor.target?.engine;
  const size = cursor.end - cursor.start;
  if (
    engine === undefined ||
    engine.umem !== umem ||
    engine.fd < 0 ||
    size <= 0 ||
    cursor.start < frame ||
    cursor.end > cursor.limit
  ) {
    counters.invalid++;
    return false;
  }
  if (engine.room(1) <= 0) {
    // What the batch gave it before is not the kernel's yet.
    engine.flush();
    if (engine.room(1) <= 0) {
      engine.counters.ringFull++;
      return false;
    }
  }
  umem.owners?.move(frame, OWNER.user, OWNER.tx);
  engine.stage(cursor.start, size);
  counters.forwarded++;
  touch(engine);
  return true;
}

/** The batch under way sends by this socket, too. */
export function touch(engine: Engine): void {
  if (engine.touched) return;
  engine.touched = true;
  touched.push(engine);
}

/** The kernel is told before anything is counted: at low rates each cache line that is not there yet takes its time. */
export function finish(engine: Engine, received: number, recycled: number, bytes: number): void {
  engine.rx.release(received);
  if (recycled !== 0) engine.fill.submit(recycled);
  engine.owed += received - recycled;
  if (engine.staged !== 0) engine.flush();
  while (touched.length > 0) {
    const other = touched.pop() as Engine;
    other.touched = false;
    other.flush();
  }
  const { counters } = engine;
  counters.received += received;
  counters.receivedBytes += bytes;
  if (engine.zeroCopy) engine.wakeFill();
  engine.busy = false;
  engine.reserved = 0;
  // The handler has closed the socket.
  if (engine.fd < 0) engine.end();
}
