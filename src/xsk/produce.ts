// SPDX-License-Identifier: MIT
import type { Engine } from "./engine.js";
import { type Cursor, Verdict } from "./frame.js";
import { OWNER } from "./owners.js";
import { DEFAULT_HEADROOM } from "./packet.js";
import type { Turn } from "./turn.js";

/**
 * One batch of packets that nobody received: shows up to `budget` free frames to `handler`, one after the other, until it
 * leaves one unsent; then the kernel is told once. A frame holds what it held last. Returns how many were sent: 0 as well
 * when no frame is free, or the TX ring is full.
 *
 * A function of each socket's own, as `turnOf` makes them.
 */
export function produceOf(engine: Engine, cursor: Cursor): Turn {
  return (handler, budget) => {
    if (engine.sending !== 0) engine.reap();
    const { umem, tx } = engine;
    const { owners, frameSize, stack } = umem;
    const headroom = DEFAULT_HEADROOM;
    const { slots, mask } = tx;
    let n = budget < umem.freeCount ? budget : umem.freeCount;
    const room = n === 0 ? 0 : engine.room(n);
    if (n > room) n = room;
    let sent = 0;
    // The frame that the handler has in hand: where it throws, or leaves it unsent, the frame is free again.
    let frame = -1;
    const nested = engine.busy;
    const { reserved } = engine;
    engine.busy = true;
    // A handler that sends more of its own can't have their slots.
    engine.reserved = reserved + n;
    try {
      while (sent < n && umem.freeCount !== 0) {
        // The handler may take frames of its own meanwhile.
        const left = (umem.freeCount - 1) | 0;
        umem.freeCount = left;
        frame = stack[left] as number;
        if (owners !== undefined) owners.move(frame, OWNER.free, OWNER.user);
        cursor.first = frame;
        cursor.limit = (frame + frameSize) | 0;
        cursor.start = (frame + headroom) | 0;
        cursor.end = cursor.start;
        cursor.verdict = Verdict.drop;
        handler(cursor);
        const { start, end } = cursor;
        // It may have closed the socket.
        if (cursor.verdict !== Verdict.send || engine.fd < 0 || start < frame || end <= start || end > cursor.limit)
          break;
        if (owners !== undefined) owners.move(frame, OWNER.user, OWNER.tx);
        frame = -1;
        const slot = ((tx.producer + engine.staged) & mask) << 2;
        slots[slot] = start;
        slots[slot | 2] = end - start;
        slots[slot | 3] = 0;
        engine.staged = (engine.staged + 1) | 0;
        sent = (sent + 1) | 0;
      }
    } finally {
      if (frame >= 0) umem.give(frame, OWNER.user);
      engine.flush();
      engine.reserved = reserved;
      engine.busy = nested;
      if (!nested && engine.fd < 0) engine.end();
    }
    return sent;
  };
}
