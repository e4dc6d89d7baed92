// SPDX-License-Identifier: MIT
import type { Engine } from "./engine.js";
import { type Cursor, Verdict } from "./frame.js";
import type { TxMetadata } from "./metadata.js";
import { OWNER } from "./owners.js";
import { DEFAULT_HEADROOM } from "./packet.js";
import type { FrameHandler } from "./turn.js";

/** `produce` for a UMEM with TX metadata: a packet may ask for something, and the descriptor says so. */
export function produceAnnotated(engine: Engine, cursor: Cursor, handler: FrameHandler, budget: number): number {
  if (engine.sending !== 0) engine.reap();
  engine.timestamps?.deliver();
  // It was closed by who got a timestamp.
  if (engine.fd < 0) return 0;
  const { umem, counters } = engine;
  const { owners, frameSize, reserve, stack } = umem;
  const metadata = umem.metadata as TxMetadata;
  let n = Math.min(budget, umem.freeCount);
  if (n > 0) n = Math.min(n, engine.room(n));
  let sent = 0;
  let frame = -1;
  const nested = engine.busy;
  const { reserved } = engine;
  engine.busy = true;
  engine.reserved = reserved + n;
  try {
    while (sent < n && umem.freeCount !== 0) {
      frame = stack[--umem.freeCount] as number;
      if (owners !== undefined) owners.move(frame, OWNER.free, OWNER.user);
      cursor.first = frame + reserve;
      cursor.limit = frame + frameSize;
      cursor.start = frame + DEFAULT_HEADROOM;
      cursor.end = cursor.start;
      cursor.requests = 0;
      cursor.verdict = Verdict.drop;
      handler(cursor);
      const { start, end, first, limit, verdict } = cursor;
      // It may have closed the socket.
      if (verdict !== Verdict.send || engine.fd < 0 || start < first || end <= start || end > limit) break;
      if (!metadata.allows(cursor, end - start)) {
        counters.invalid++;
        break;
      }
      if (owners !== undefined) owners.move(frame, OWNER.user, OWNER.tx);
      engine.stage(start, end - start, metadata.write(cursor, frame, start, engine.timestamps));
      frame = -1;
      sent++;
    }
  } finally {
    if (frame >= 0) umem.give(frame, OWNER.user);
    engine.flush();
    engine.reserved = reserved;
    engine.busy = nested;
    if (!nested && engine.fd < 0) engine.end();
  }
  return sent;
}
