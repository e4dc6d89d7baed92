// SPDX-License-Identifier: MIT
import { RingBuffer } from "../bpf/index.js";
import { EVENT_SIZE } from "../events/index.js";
import { EPOLLIN } from "../linux/index.js";
import type { Loop, LoopHandle } from "../loop/index.js";
import { type Instance, readLost } from "../xdp/index.js";

export interface RingReader {
  /** Records wait, and are about to be read. */
  expect(): void;
  /** A record at `offset` of the ring's bytes; valid only during the call. */
  record(ring: RingBuffer, offset: number): void;
  /** `count` events did not fit into the ring since the last report. */
  lost(instance: Instance, count: number): void;
}

interface OpenRing {
  ring: RingBuffer;
  watch: LoopHandle;
  lost: bigint;
}

/** The ring buffers of all loaded objects, each read in place by one reader: us. */
export class Rings {
  readonly #loop: Loop;
  readonly #reader: RingReader;
  readonly #open = new Map<Instance, OpenRing>();
  /** Records read so far. */
  records = 0;
  /** While true, no ring is opened: what is in them waits, for those who are to hear of it are not there yet. */
  held = false;

  constructor(loop: Loop, reader: RingReader) {
    this.#loop = loop;
    this.#reader = reader;
  }

  /** Opens the rings of new instances, closes those of instances that are gone. */
  follow(instances: readonly Instance[]): void {
    for (const [instance, open] of this.#open) if (!instances.includes(instance)) this.#close(instance, open);
    if (this.held) return;
    for (const instance of instances) {
      const map = instance.maps.events;
      if (this.#open.has(instance) || map?.info.type !== "ringbuf") continue;
      const ring = new RingBuffer(map);
      const read = (_events: number, budget: number): void => this.#read(ring, budget);
      const watch = this.#loop.watch(ring.fd, read, EPOLLIN, () => ring.pending > 0);
      this.#open.set(instance, { ring, watch, lost: readLost(instance.maps.lost) });
    }
  }

  /** Empties the rings of an instance that is about to go, so that its last events are seen. */
  drain(): void {
    for (const { ring } of this.#open.values()) this.#read(ring, Number.POSITIVE_INFINITY);
  }

  #read(ring: RingBuffer, budget: number): void {
    const reader = this.#reader;
    if (ring.pending > 0) reader.expect();
    const n = ring.consume((offset, length) => {
      if (length >= EVENT_SIZE) reader.record(ring, offset);
    }, budget);
    this.records += n;
  }

  /** Looks at the programs' own counters of events that did not fit. */
  checkLost(): void {
    for (const [instance, open] of this.#open) {
      const now = readLost(instance.maps.lost);
      if (now > open.lost) this.#reader.lost(instance, Number(now - open.lost));
      open.lost = now;
    }
  }

  #close(instance: Instance, open: OpenRing): void {
    open.watch.close();
    open.ring.close();
    this.#open.delete(instance);
  }

  close(): void {
    for (const [instance, open] of [...this.#open]) this.#close(instance, open);
  }
}
