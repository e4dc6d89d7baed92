// SPDX-License-Identifier: MIT
import { XDP_PACKET_HEADROOM, XDP_PKT_CONTD } from "./abi.js";
import type { Engine } from "./engine.js";
import { type Cursor, Verdict } from "./frame.js";
import { OWNER } from "./owners.js";
import { elsewhere, type FrameHandler, finish, touch } from "./turn.js";
import { LINEAR_BYTES } from "./umem-options.js";

/** The most frames that a packet is sent in: the linear part of a kernel's buffer, and MAX_SKB_FRAGS. */
const MOST_SENT = 18;
/** The frames of the packet in hand: more than a packet of 64 KiB has. */
const frames = new Int32Array(256);

/**
 * The turn of a socket that takes packets of several frames. Such a packet is copied into the room behind the UMEM's frames, where
 * the handler sees it in one piece, and from there into frames again when it is sent: copying costs less than a handler that
 * must look where it may read on. Packets of one frame are worked on in place.
 *
 * It is for sockets with TX metadata, too, so that nobody else's batches know of that.
 */
export function turnLarge(engine: Engine, cursor: Cursor, handler: FrameHandler, budget: number): number {
  if (engine.sending !== 0) engine.reap();
  if (engine.umem.metadata !== undefined) engine.umem.tell();
  // It was closed by who got a timestamp.
  if (engine.fd < 0) return 0;
  if (engine.owed !== 0) engine.pay();
  const { rx, fill, umem, counters } = engine;
  const last = (rx.consumer + rx.available()) | 0;
  const { slots, mask } = rx;
  const first = rx.consumer;
  let at = first;
  let to = fill.producer;
  let bytes = 0;
  let packets = 0;
  let full = false;
  // How many of `frames` are neither sent, nor given back.
  let inHand = 0;
  engine.begin(0);
  try {
    while (packets < budget && at !== last) {
      const count = fragments(engine, at, last);
      if (count === 0) break;
      // One of more frames than the ring ever has room for waits for nothing: it can be dropped, and sending it will not work.
      full = count <= engine.tx.size && engine.room(count) < count;
      if (full) break;
      const fits = point(engine, cursor, at, count);
      for (; inHand < count; inHand++) {
        const frame = umem.frameOf(slots[((at + inHand) & mask) << 2] as number);
        umem.owners?.move(frame, OWNER.fill, OWNER.user);
        frames[inHand] = frame;
      }
      at = (at + count) | 0;
      packets++;
      bytes += cursor.length;
      if (fits) handler(cursor);
      else counters.invalid++;
      if (engine.fd < 0) break;
      const { verdict } = cursor;
      if (verdict === Verdict.taken) {
        counters.taken++;
        inHand = 0;
      } else if (verdict !== Verdict.drop) inHand = leave(engine, cursor, count);
      else if (fits) counters.dropped++;
      // What was not sent goes back to the kernel.
      for (; inHand > 0; inHand--) {
        const frame = frames[inHand - 1] as number;
        umem.owners?.move(frame, OWNER.user, OWNER.fill);
        fill.slots[(to & fill.mask) << 1] = frame;
        to = (to + 1) | 0;
      }
    }
  } finally {
    // The handler threw.
    if (inHand > 0 && engine.fd >= 0 && cursor.verdict !== Verdict.taken) {
      counters.dropped++;
      for (; inHand > 0; inHand--) umem.give(frames[inHand - 1] as number, OWNER.user);
    }
    const taken = (at - first) | 0;
    // `finish` counts frames.
    counters.received -= taken - packets;
    finish(engine, taken, (to - fill.producer) | 0, bytes);
  }
  if (full) return -1;
  if (packets === 0) umem.kick();
  return packets;
}

/** How many descriptors the packet at `at` has; 0 while its end is not there yet. */
function fragments({ rx }: Engine, at: number, last: number): number {
  const { slots, mask } = rx;
  for (let count = 1; ; count++) {
    const options = slots[(((at + count - 1) & mask) << 2) + 3] as number;
    if ((options & XDP_PKT_CONTD) === 0 || count === frames.length) return count;
    if (((at + count) | 0) === last) return 0;
  }
}

/** Points the cursor at the packet; false where it is too long for one piece. */
function point({ rx, umem }: Engine, cursor: Cursor, at: number, count: number): boolean {
  const { slots, mask } = rx;
  cursor.fragments = count;
  cursor.verdict = Verdict.drop;
  cursor.requests = 0;
  if (count > 1) {
    cursor.first = umem.length;
    cursor.limit = umem.length + LINEAR_BYTES;
    cursor.start = umem.length + XDP_PACKET_HEADROOM;
    cursor.end = cursor.start;
  }
  for (let i = 0; i < count; i++) {
    const slot = ((at + i) & mask) << 2;
    const address = slots[slot] as number;
    const start = address + ((slots[slot + 1] as number) >>> 16);
    const length = slots[slot + 2] as number;
    if (count === 1) {
      const frame = umem.frameOf(address);
      cursor.first = frame + umem.reserve;
      cursor.limit = frame + umem.frameSize;
      cursor.start = start;
      cursor.end = start + length;
      return true;
    }
    if (cursor.end + length > cursor.limit) return false;
    umem.bytes.copyWithin(cursor.end, start, start + length);
    cursor.end += length;
  }
  return true;
}

/** Sends or forwards the packet. Returns how many of its frames are left over. */
function leave(engine: Engine, cursor: Cursor, count: number): number {
  const { umem, counters } = engine;
  const { metadata, reserve } = umem;
  const away = cursor.verdict === Verdict.elsewhere;
  if (count === 1 && away && metadata === undefined) return elsewhere(engine, cursor, frames[0] as number) ? 0 : 1;
  const to = away ? cursor.target?.engine : engine;
  const { start, end, first, limit } = cursor;
  const size = end - start;
  const room = umem.frameSize - reserve;
  const needed = count === 1 ? 1 : Math.ceil(size / room);
  const allowed = metadata === undefined || metadata.allows(cursor, count === 1 ? size : Math.min(size, room));
  const inside = size > 0 && start >= first && end <= limit && needed <= MOST_SENT && allowed;
  if (!inside || to === undefined || to.umem !== umem || to.fd < 0 || (needed > 1 && !to.multiBuffer)) {
    counters.invalid++;
    return count;
  }
  let have = count;
  if (to.room(needed) < needed) {
    to.counters.ringFull++;
    return count;
  }
  if (needed - have > umem.freeCount) umem.reap();
  if (needed - have > umem.freeCount) {
    counters.noFrame++;
    return count;
  }
  while (have < needed) frames[have++] = umem.take(OWNER.user);
  for (let i = 0; i < needed; i++) {
    const frame = frames[i] as number;
    umem.owners?.move(frame, OWNER.user, OWNER.tx);
    const at = count === 1 ? start : frame + reserve;
    // The first frame of a packet says what it asks for.
    const asked = metadata === undefined || i > 0 ? 0 : metadata.write(cursor, frame, at, to.timestamps);
    if (count === 1) {
      to.stage(start, size, asked);
      break;
    }
    const from = start + i * room;
    const until = Math.min(end, from + room);
    umem.bytes.copyWithin(at, from, until);
    to.stage(at, until - from, asked | (until < end ? XDP_PKT_CONTD : 0));
  }
  if (away) {
    counters.forwarded++;
    touch(to);
  }
  frames.copyWithin(0, needed, have);
  return have - needed;
}
