// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import { dupFd, Mapping, OwnedFd, PAGE_SIZE } from "../linux/index.js";
import type { BpfMap } from "./map.js";

const DISCARD = 0x4000_0000;
const HEADER = 8;

/** Where a record lies in `bytes` (and `view`), and how long it is; valid only during the call. */
export type RecordHandler = (offset: number, length: number) => void;

/**
 * The one reader of a BPF ring buffer (BPF_MAP_TYPE_RINGBUF, Linux 5.8), in place.
 *
 * The data pages are mapped twice in a row by the kernel, so a record never wraps. Positions are 64 bits; JavaScript
 * numbers hold them exactly up to 2^53. The reader's position is kept by the kernel: another reader goes on there.
 */
export class RingBuffer implements Disposable {
  readonly #owned: OwnedFd;
  /** Bytes of the ring. */
  readonly size: number;
  readonly #consumerPage: Mapping;
  readonly #producerPages: Mapping;
  readonly #consumer: BigUint64Array;
  readonly #producer: Uint32Array;
  readonly #words: Int32Array;
  /** The data, twice in a row. Read it only inside a handler. */
  readonly bytes: Uint8Array;
  readonly view: DataView;
  #position: number;

  constructor(map: BpfMap) {
    if (map.info.type !== "ringbuf") {
      throw new XdpctlError("XDPCTL_E_NO_MAP", `the map ${map.name} is a ${map.info.type}, not a ring buffer`);
    }
    this.size = map.info.maxEntries;
    this.#consumerPage = Mapping.of(map.fd, PAGE_SIZE, { writable: true });
    // Its own descriptor: a mapping keeps the file open, and epoll could not forget one that was closed under it.
    this.#owned = new OwnedFd(dupFd(map.fd));
    try {
      this.#producerPages = Mapping.of(map.fd, PAGE_SIZE + 2 * this.size, { offset: PAGE_SIZE });
    } catch (error) {
      this.#consumerPage.unmap();
      this.#owned.close();
      throw error;
    }
    this.#consumer = new BigUint64Array(this.#consumerPage.buffer, 0, 1);
    const buffer = this.#producerPages.buffer;
    this.#producer = new Uint32Array(buffer, 0, 1);
    this.#words = new Int32Array(buffer, PAGE_SIZE, this.size / 2);
    this.bytes = new Uint8Array(buffer, PAGE_SIZE, 2 * this.size);
    this.view = new DataView(buffer, PAGE_SIZE, 2 * this.size);
    this.#position = Number(Atomics.load(this.#consumer, 0));
  }

  /** Readable (EPOLLIN) while records wait. */
  get fd(): number {
    return this.#owned.fd;
  }

  /** Bytes that wait to be read. */
  get pending(): number {
    if (!this.#consumerPage.live) return 0;
    return (Atomics.load(this.#producer, 0) - this.#position) >>> 0;
  }

  /**
   * Calls `handler` for up to `budget` records, then hands their room back to the kernel. Returns how many there were.
   * When the handler throws, the record it threw on counts as read.
   */
  consume(handler: RecordHandler, budget = Number.POSITIVE_INFINITY): number {
    if (!this.#consumerPage.live) return 0;
    const words = this.#words;
    const mask = this.size - 1;
    const limit = Math.max(0, Math.min(budget, 0x7fff_ffff)) | 0;
    // Positions grow beyond 32 bits, and arithmetic on such numbers takes twice the time of the whole loop. So it counts
    // in offsets and in bytes, which stay small: what waits is never more than the ring.
    let at = this.#position & mask;
    let room = limit;
    let read = 0;
    let waiting = 0;
    let left = 0;
    try {
      while (room !== 0) {
        read = (read + waiting) | 0;
        // The load orders the headers' reads after it; on arm64 each header is loaded atomically for the same reason.
        left = waiting = (Atomics.load(this.#producer, 0) - this.#position - read) | 0;
        // `read` must not outgrow 31 bits: the rest comes with the next call.
        if (waiting === 0 || read > 0x7fff_ffff - this.size) break;
        while (left !== 0 && room !== 0) {
          const header = ORDERED ? (words[at >>> 2] as number) : Atomics.load(words, at >>> 2);
          // The sign bit is BUSY.
          if (header < 0) break;
          const length = header & 0x3fff_ffff;
          const step = (length + HEADER + 7) & ~7;
          if ((header & DISCARD) !== 0) {
            at = (at + step) & mask;
            left = (left - step) | 0;
            continue;
          }
          // Records of one kind come in runs. Inside a run the next header's address doesn't wait for this header to
          // come from memory: that it is the same is predicted, then checked.
          do {
            const start = (at + HEADER) | 0;
            at = (at + step) & mask;
            left = (left - step) | 0;
            room = (room - 1) | 0;
            handler(start, length);
          } while (left !== 0 && room !== 0 && ORDERED && words[at >>> 2] === header);
        }
        // A record that is being written ends the turn: those after it come with it.
        if (left !== 0) break;
      }
    } finally {
      const done = read + waiting - left;
      if (done !== 0) {
        this.#position += done;
        Atomics.store(this.#consumer, 0, BigInt(this.#position));
      }
    }
    return limit - room;
  }

  close(): void {
    this.#consumerPage.unmap();
    this.#producerPages.unmap();
    this.#owned.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** x86 never reorders loads with older loads. */
const ORDERED = process.arch === "x64";
