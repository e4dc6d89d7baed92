// SPDX-License-Identifier: MIT
import { errno, wakeReceive, wakeSend } from "../linux/index.js";
import { Counters } from "./counters.js";
import { OWNER } from "./owners.js";
import type { Ring, Rings } from "./ring.js";
import type { TxTimestamps } from "./timestamps.js";
import type { Umem } from "./umem.js";

/** The kernel is to be asked again: no failure. */
const AGAIN: ReadonlySet<number> = new Set([errno.EAGAIN, errno.EBUSY, errno.ENOBUFS, errno.EINTR]);

let made = 0;

/**
 * The rings of a socket at work. A frame goes round: fill ring → kernel → RX ring → program → TX ring → kernel → completion
 * ring → free or fill ring; only what came out of the completion ring is used again.
 *
 * The kernel has `fill.size` frames to receive into, less those that are `owed` because none was free.
 */
export class Engine {
  /** Its number among all of this thread, from 1. */
  readonly id = ++made;
  readonly umem: Umem;
  readonly rx: Ring;
  readonly tx: Ring;
  readonly fill: Ring;
  readonly completion: Ring;
  readonly counters = new Counters();
  /** Of the socket; -1 once it is closed. */
  fd: number;
  /** Only zero copy lets the fill ring's wake-up flag be set. */
  zeroCopy = false;
  /** Takes packets of several frames (XDP_USE_SG). */
  multiBuffer = false;
  /** The kernel is called only when it sleeps (XDP_USE_NEED_WAKEUP). */
  needWakeup = true;
  /** Our waiting drives the driver (SO_PREFER_BUSY_POLL). */
  busyPoll = false;
  /** Somebody else made it, who is not trusted: what it receives is looked at first. */
  foreign = false;
  /** What `receive` took last was not the end of its packet. */
  within = false;
  /** Descriptors written into the TX ring and not submitted yet. */
  staged = 0;
  /** Frames that the kernel has to send, or has sent and were not reaped. */
  sending = 0;
  /** Frames that the fill ring lacks. */
  owed: number;
  /** On the list of sockets that a batch forwarded to. */
  touched = false;
  /** errno of a wake-up that says that the socket is of no use any more; 0 while it is. */
  failure = 0;
  /** A batch is under way: its loop holds views of the rings. */
  busy = false;
  /** Of packets that asked for them (TX metadata). */
  timestamps: TxTimestamps | undefined;
  /** Slots of the TX ring that the batch under way may need: a handler that sends more of its own can't have them. */
  reserved = 0;
  readonly #frameSize: number;
  readonly #unaligned: boolean;

  constructor(umem: Umem, rings: Rings, fd: number) {
    this.umem = umem;
    this.rx = rings.rx;
    this.tx = rings.tx;
    this.fill = rings.fill;
    this.completion = rings.completion;
    this.fd = fd;
    this.owed = rings.fill.size;
    this.#frameSize = umem.frameSize;
    this.#unaligned = umem.unaligned;
  }

  /**
   * Whether frames are on their way back that somebody waits for, without any event to come of it: our own, and those that
   * went to other sockets of the UMEM.
   */
  get waiting(): boolean {
    const { engines } = this.umem;
    for (let i = 0; i < engines.length; i++) {
      const engine = engines[i] as Engine;
      if (engine.sending !== 0 && (this.owed !== 0 || engine.unsent)) return true;
      if (engine.timestamps !== undefined && engine.timestamps.pending !== 0) return true;
    }
    return false;
  }

  /** Whether the TX ring has what the kernel did not take when it was asked last. */
  get unsent(): boolean {
    return ((this.tx.producer - this.tx.consumer) | 0) !== 0;
  }

  /** A batch of `n` frames begins. */
  begin(n: number): void {
    this.busy = true;
    this.reserved = n;
  }

  /** Notes that the socket is of no use any more; the first reason counts. */
  fail(number: number): void {
    if (this.failure === 0 && number > 0 && !AGAIN.has(number)) this.failure = number;
  }

  /** The socket is closed. A batch that is under way goes on to its end, into rings that nobody reads, and then calls `end`. */
  close(): void {
    this.reap();
    this.fd = -1;
    if (this.busy) return;
    // What others have forwarded to it.
    this.flush();
    this.unmap();
  }

  /** The batch is over in which the socket was closed. */
  end(): void {
    this.reap();
    this.unmap();
    this.umem.settle(this);
  }

  /** Lets the rings go, once the socket is closed and no batch is under way. */
  unmap(): void {
    for (const ring of [this.rx, this.tx, this.fill, this.completion]) ring.unmap();
  }

  /** Takes back what was sent: first for the fill ring, the rest is free. */
  reap(): void {
    const { completion, umem } = this;
    const n = completion.available();
    if (n === 0) return;
    if (this.timestamps !== undefined) this.timestamps.collect(completion, n);
    // The loop of a batch writes into the fill ring itself, and has not told it yet.
    const direct = this.busy ? 0 : n < this.owed ? n : this.owed;
    const { freeCount } = umem;
    const fits = freeCount + n <= umem.frameCount;
    const given =
      umem.owners === undefined && !this.#unaligned && fits ? this.#hurry(n, direct) : this.#sort(n, direct);
    umem.homes?.freed(freeCount);
    completion.release(n);
    this.sending -= n;
    this.counters.completed += n;
    if (given === 0) return;
    this.owed -= given;
    this.fill.submit(given);
  }

  /** The usual case, in loops of its own that have nothing else to look at. Returns how many went to the fill ring. */
  #hurry(n: number, direct: number): number {
    const { completion, umem, fill } = this;
    const { slots, mask } = completion;
    const fillSlots = fill.slots;
    const fillMask = fill.mask;
    const { stack, length } = umem;
    const aligned = -this.#frameSize;
    const last = (completion.consumer + n) | 0;
    let at = completion.consumer;
    let to = fill.producer;
    const full = (to + direct) | 0;
    while (to !== full && at !== last) {
      const address = (slots[(at & mask) << 1] as number) | 0;
      at = (at + 1) | 0;
      // The kernel completes a descriptor outside the UMEM, too: it is no frame.
      if (address < 0 || address >= length) continue;
      fillSlots[(to & fillMask) << 1] = address & aligned;
      to = (to + 1) | 0;
    }
    let free = umem.freeCount;
    while (at !== last) {
      const address = (slots[(at & mask) << 1] as number) | 0;
      at = (at + 1) | 0;
      if (address < 0 || address >= length) continue;
      stack[free] = address & aligned;
      free = (free + 1) | 0;
    }
    umem.freeCount = free;
    return (to - fill.producer) | 0;
  }

  #sort(n: number, direct: number): number {
    const { completion, umem, fill } = this;
    const { slots, mask } = completion;
    const { owners, stack, frameCount, length } = umem;
    const fillSlots = fill.slots;
    const fillMask = fill.mask;
    const unaligned = this.#unaligned;
    const frameSize = this.#frameSize;
    const aligned = -frameSize;
    const last = (completion.consumer + n) | 0;
    let to = fill.producer;
    let left = direct;
    let free = umem.freeCount;
    for (let at = completion.consumer; at !== last; at = (at + 1) | 0) {
      const address = (slots[(at & mask) << 1] as number) | 0;
      if (address < 0 || address >= length) continue;
      const frame = unaligned ? (address - (address % frameSize)) | 0 : address & aligned;
      if (left !== 0) {
        left = (left - 1) | 0;
        if (owners !== undefined) owners.move(frame, OWNER.tx, OWNER.fill);
        fillSlots[(to & fillMask) << 1] = frame;
        to = (to + 1) | 0;
        continue;
      }
      if (owners !== undefined) owners.move(frame, OWNER.tx, OWNER.free);
      // More than all can only come of a frame that was given back twice.
      if (free < frameCount) stack[free++] = frame;
    }
    umem.freeCount = free;
    return direct - left;
  }

  /** Gives the fill ring what it lacks, as far as frames are free. */
  pay(): void {
    if (this.busy || this.fd < 0) return;
    const { umem, fill } = this;
    // Frames that came in here and left by another socket are taken back there.
    if (umem.freeCount < this.owed) umem.reap();
    const n = umem.freeCount < this.owed ? umem.freeCount : this.owed;
    if (n <= 0) return;
    for (let i = 0; i !== n; i++) fill.slots[((fill.producer + i) & fill.mask) << 1] = umem.take(OWNER.fill);
    umem.homes?.filled(this, n);
    this.owed -= n;
    fill.submit(n);
    if (this.zeroCopy) this.wakeFill();
  }

  /** Takes back what the fill ring was given: the socket was never bound. */
  recall(): void {
    const { umem, fill } = this;
    const n = fill.size - this.owed;
    this.owed = fill.size;
    for (let i = 1; i <= n; i++) umem.give(fill.slots[((fill.producer - i) & fill.mask) << 1] as number, OWNER.fill);
  }

  wakeFill(): void {
    if (!this.fill.needsWakeup()) return;
    this.counters.receiveWakeups++;
    this.fail(-wakeReceive(this.fd));
  }

  /** How many more descriptors the TX ring takes; when it looks full, the kernel is asked to go on, and looked at again. */
  room(wanted: number): number {
    const { tx } = this;
    const taken = this.staged + this.reserved;
    let room = tx.size - ((tx.producer - tx.consumer) | 0) - taken;
    if (room >= wanted) return room;
    room = tx.free() - taken;
    if (room >= wanted) return room;
    this.kick();
    this.reap();
    return tx.free() - taken;
  }

  /** Writes a descriptor. The caller has looked for room. `options` is XDP_PKT_CONTD, or nothing. */
  stage(start: number, length: number, options = 0): void {
    const { tx } = this;
    const slot = ((tx.producer + this.staged) & tx.mask) << 2;
    tx.slots[slot] = start;
    tx.slots[slot + 2] = length;
    tx.slots[slot + 3] = options;
    this.staged++;
  }

  /** Submits what is staged, and wakes the kernel where it asks for it. */
  flush(): void {
    const n = this.staged;
    if (n !== 0) {
      this.umem.homes?.staged(this);
      this.staged = 0;
      if (this.fd < 0) return;
      this.sending += n;
      this.tx.submit(n);
      this.kick();
      this.counters.sent += n;
    } else this.kick();
  }

  /** Calls the kernel until it has taken all that the TX ring has, or takes no more for now. */
  kick(): void {
    const { tx, counters } = this;
    if (!this.unsent || this.fd < 0) return;
    let before = tx.size + 1;
    while (tx.needsWakeup()) {
      this.fail(-wakeSend(this.fd));
      counters.sendWakeups++;
      if (this.failure !== 0) return;
      const left = tx.pending();
      // One call sends 32 packets in copy mode, unless XDP_MAX_TX_SKB_BUDGET says more.
      if (left === 0 || left >= before) return;
      before = left;
    }
    tx.pending();
  }
}
