// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import { Loop } from "../loop/index.js";
import { type Btf, type Codec, Codecs, type Value } from "./btf/index.js";
import type { BpfMap } from "./map.js";
import { RingBuffer } from "./ringbuf.js";

/** Records that may wait for who reads them. */
const WAITING = 65_536;
/** Read records are dropped from the front of the queue in runs of so many. */
const RUN = 1024;

/**
 * The codec of a ring buffer's records: a ring has no type of its own in BTF, so it is the struct that `struct_` names, or
 * that is called like the map or like one of it. Undefined where there is none: records are then bytes.
 */
export function recordType(btf: Btf | undefined, map: string, struct_?: string): Codec | undefined {
  const names = struct_ === undefined ? [map, map.replace(/s$/, "")] : [struct_];
  const type = names.map((name) => btf?.find("struct", name)).find((found) => found !== undefined);
  if (btf !== undefined && type !== undefined) return new Codecs(btf).ofType(type);
  if (struct_ === undefined) return undefined;
  throw new XdpctlError("XDPCTL_E_NO_BTF", `the BTF has no struct ${struct_} for the records of ${map}`, {
    remedy: `name a global of that type in the program: \`const struct ${struct_} *record_type;\``,
  });
}

/**
 * The records of a ring buffer, decoded, for `for await`. It reads from its first iterator on, without a thread and
 * without waiting; what its reader is too slow for is dropped and counted in `lost`, at the end of a bounded queue.
 *
 * Structs are objects with camelCase names, as in maps; a record of another length than the struct's is bytes. Several
 * iterators share the records. Leaving the loop stops the reading; a later loop goes on where the ring stands. Main
 * thread only; Linux 5.8.
 */
export class RecordStream<R = Value> implements AsyncIterable<R>, Disposable {
  /** Records that were dropped because too many waited; what did not fit into the ring is the program's to count. */
  lost = 0;
  readonly #map: BpfMap;
  readonly #codec: Codec | undefined;
  readonly #limit: number;
  #queue: R[] = [];
  #next = 0;
  #readers = 0;
  #ring: RingBuffer | undefined;
  #loop: Loop | undefined;
  #closed = false;
  readonly #waiting: ((result: IteratorResult<R, undefined>) => void)[] = [];

  constructor(map: BpfMap, codec?: Codec, limit = WAITING) {
    this.#map = map;
    this.#codec = codec;
    this.#limit = limit;
  }

  /** Records that wait to be taken. */
  get queued(): number {
    return this.#queue.length - this.#next;
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<R, undefined> {
    this.#start();
    let open = true;
    const done = { value: undefined, done: true } as const;
    const leave = (): void => {
      if (!open) return;
      open = false;
      this.#readers--;
      if (this.#readers === 0) this.#stop();
    };
    return {
      next: () => (open ? this.#take() : Promise.resolve(done)),
      return: () => {
        leave();
        return Promise.resolve(done);
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  #start(): void {
    this.#readers++;
    if (this.#closed || this.#loop !== undefined) return;
    const ring = this.#ring ?? new RingBuffer(this.#map);
    this.#ring = ring;
    this.#loop = new Loop();
    this.#loop.watch(ring.fd, (_events, budget) => this.#read(ring, budget));
  }

  #read(ring: RingBuffer, budget: number): void {
    const { view } = ring;
    const codec = this.#codec;
    ring.consume((at, length) => {
      if (this.queued >= this.#limit) this.lost++;
      else if (codec?.size === length) this.#queue.push(codec.decode(view, at) as R);
      else this.#queue.push(ring.bytes.slice(at, at + length) as R);
    }, budget);
    while (this.#waiting.length > 0 && this.queued > 0) this.#waiting.shift()?.(this.#shift());
  }

  #shift(): IteratorResult<R, undefined> {
    const value = this.#queue[this.#next++] as R;
    if (this.#next === this.#queue.length || this.#next === RUN) {
      this.#queue = this.#queue.slice(this.#next);
      this.#next = 0;
    }
    return { value, done: false };
  }

  #take(): Promise<IteratorResult<R, undefined>> {
    if (this.queued > 0) return Promise.resolve(this.#shift());
    if (this.#closed) return Promise.resolve({ value: undefined, done: true });
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #stop(): void {
    this.#loop?.close();
    this.#loop = undefined;
    for (const resolve of this.#waiting.splice(0)) resolve({ value: undefined, done: true });
  }

  /** Ends the reading: who waits is told so, what was read before can still be taken. */
  close(): void {
    this.#closed = true;
    this.#stop();
    this.#ring?.close();
    this.#ring = undefined;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
