// SPDX-License-Identifier: MIT
import type { Engine } from "./engine.js";
import { type Cursor, VERDICT } from "./frame.js";
import { OWNER } from "./owners.js";
import { DEFAULT_HEADROOM } from "./packet.js";
import type { FrameHandler } from "./turn.js";

/**
 * One batch of packets that nobody received: shows up to `budget` free frames to `handler`, one after the other, until it
 * leaves one unsent; then the kernel is told once. A frame holds what it held last. Returns how many were sent: 0 as well
 * when no frame is free, or the TX ring is full.
 */
export function produce(engine: Engine, cursor: Cursor, handler: FrameHandler, budget: number): number {
  if (engine.sending !== 0) engine.reap();
  const { umem } = engine;
  const { owners, frameSize } = umem;
  let n = budget < umem.freeCount ? budget : umem.freeCount;
  const room = n === 0 ? 0 : engine.room(n);
  if (n > room) n = room;
  let sent = 0;
  const nested = engine.busy;
  engine.busy = true;
  try {
    while (sent < n) {
      const frame = umem.take(OWNER.user);
      cursor.first = frame;
      cursor.limit = (frame + frameSize) | 0;
      cursor.start = (frame + DEFAULT_HEADROOM) | 0;
      cursor.end = cursor.start;
      cursor.verdict = VERDICT.drop;
      let kept = false;
      try {
        handler(cursor);
        kept = cursor.verdict === VERDICT.send && cursor.start >= frame && inside(cursor);
      } finally {
        if (!kept) umem.give(frame, OWNER.user);
      }
      if (!kept) break;
      if (owners !== undefined) owners.move(frame, OWNER.user, OWNER.tx);
      engine.stage(cursor.start, (cursor.end - cursor.start) | 0);
      sent = (sent + 1) | 0;
    }
  } finally {
    engine.flush();
    engine.busy = nested;
    if (!nested && engine.fd < 0) engine.unmap();
  }
  return sent;
}

function inside(cursor: Cursor): boolean {
  return cursor.end > cursor.start && cursor.end <= cursor.limit;
}
