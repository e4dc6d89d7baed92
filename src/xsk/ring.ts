// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import { getSocketOption, Mapping, PAGE_SIZE, type Socket, SOL_XDP, syscallError } from "../linux/index.js";
import {
  ADDRESS_WORDS,
  DESCRIPTOR_WORDS,
  PAGE_OFFSET,
  XDP_MMAP_OFFSETS,
  XDP_RING_NEED_WAKEUP,
  XDP_RX_RING,
  XDP_TX_RING,
  XDP_UMEM_COMPLETION_RING,
  XDP_UMEM_FILL_RING,
} from "./abi.js";

/** Descriptors that each ring holds: powers of two. */
export interface RingSizes {
  readonly rx: number;
  readonly tx: number;
  readonly fill: number;
  readonly completion: number;
}

/** Whether plain accesses are acquire and release: see Ring. */
const ORDERED = process.arch === "x64";

/**
 * One of the four rings that a socket shares with the kernel: one side writes descriptors and then its `producer` index,
 * the other reads them and then writes its `consumer` index. Both count modulo 2^32, here as 32-bit integers.
 *
 * **Ordering.** A descriptor must be visible before the producer index that covers it (release), and must not be read
 * before that index was (acquire); the same holds for the consumer index and the reuse of a slot. The kernel has
 * smp_store_release and smp_load_acquire there.
 *
 * - x86-64: processors keep stores in order, and loads (TSO), so a plain `mov` is a release or an acquire, as in libxdp. V8
 *   neither moves nor merges accesses to an ArrayBuffer's memory, since other threads may see it. `Atomics.store` would be an
 *   `xchg`: it waits until the stores before it have got their cache lines from the CPU that the kernel used them on, which
 *   took 1 to 2 µs of a batch.
 * - elsewhere, `Atomics`: on arm64 `ldar` (acquire) and `stlr` (release). It works on memory that is no SharedArrayBuffer as
 *   well: only `wait` and `notify` don't.
 *
 * One more order counts where a driver may fall asleep at any time, in zero copy: the index must be visible before the
 * wake-up flag is read. That takes a full barrier, so such rings are `fenced`: their indices are written by `Atomics.store`
 * everywhere.
 */
export class Ring {
  /** The whole mapping, for the indices and the flags. */
  words: Int32Array;
  readonly producerAt: number;
  readonly consumerAt: number;
  readonly flagsAt: number;
  /** The descriptors. Addresses are 64 bits of which the upper 32 are zero while the UMEM is under 4 GiB. */
  slots: Uint32Array;
  readonly size: number;
  readonly mask: number;
  /** Our copies: our own index is exact, the kernel's is as of the last look. */
  producer: number;
  consumer: number;
  /** Its wake-up flag may be set while its index is written. */
  fenced = false;

  readonly #mapping: Mapping;

  constructor(mapping: Mapping, offsets: RingOffsets, size: number, wordsEach: number) {
    this.#mapping = mapping;
    const { buffer } = mapping;
    this.words = new Int32Array(buffer);
    this.producerAt = offsets.producer >>> 2;
    this.consumerAt = offsets.consumer >>> 2;
    this.flagsAt = offsets.flags >>> 2;
    this.slots = new Uint32Array(buffer, offsets.slots, size * wordsEach);
    this.size = size;
    this.mask = size - 1;
    this.producer = this.#load(this.producerAt);
    this.consumer = this.#load(this.consumerAt);
  }

  #load(at: number): number {
    return ORDERED ? (this.words[at] as number) : Atomics.load(this.words, at);
  }

  #store(at: number, index: number): void {
    if (ORDERED && !this.fenced) this.words[at] = index;
    else Atomics.store(this.words, at, index);
  }

  /** Consuming side: how many descriptors wait, as of now. */
  available(): number {
    this.producer = this.#load(this.producerAt);
    const n = (this.producer - this.consumer) | 0;
    // More than it holds says only who has the ring mapped, too, and means harm.
    return n >>> 0 > this.size ? 0 : n;
  }

  /** Consuming side: hands `n` slots back. */
  release(n: number): void {
    this.consumer = (this.consumer + n) | 0;
    this.#store(this.consumerAt, this.consumer);
  }

  /** Producing side: how many slots are free, as of now. */
  free(): number {
    this.consumer = this.#load(this.consumerAt);
    return (this.size - ((this.producer - this.consumer) | 0)) | 0;
  }

  /** Producing side: how many descriptors the kernel has not taken yet, as of now. */
  pending(): number {
    this.consumer = this.#load(this.consumerAt);
    return (this.producer - this.consumer) | 0;
  }

  /** Producing side: makes `n` more slots, already written, the kernel's. */
  submit(n: number): void {
    this.producer = (this.producer + n) | 0;
    this.#store(this.producerAt, this.producer);
  }

  /**
   * Unmaps the ring: as long as it is mapped, the kernel keeps the socket. Whoever still looks finds an empty ring of ours.
   */
  unmap(): void {
    this.words = new Int32Array(1 + Math.max(this.producerAt, this.consumerAt, this.flagsAt));
    this.slots = new Uint32Array(0);
    this.#mapping.unmap();
  }

  /** Whether the kernel sleeps and must be called. In copy mode it always sleeps. */
  needsWakeup(): boolean {
    return (this.#load(this.flagsAt) & XDP_RING_NEED_WAKEUP) !== 0;
  }
}

interface RingOffsets {
  readonly producer: number;
  readonly consumer: number;
  readonly slots: number;
  readonly flags: number;
}

export interface Rings {
  readonly rx: Ring;
  readonly tx: Ring;
  readonly fill: Ring;
  readonly completion: Ring;
}

const RING_OPTION = {
  rx: XDP_RX_RING,
  tx: XDP_TX_RING,
  fill: XDP_UMEM_FILL_RING,
  completion: XDP_UMEM_COMPLETION_RING,
} as const;

type RingName = keyof typeof RING_OPTION;

/** The order of `struct xdp_mmap_offsets`. */
const ORDER: readonly RingName[] = ["rx", "tx", "fill", "completion"];
/** Its length since Linux 5.4: before, rings had no flags. */
const OFFSETS_SIZE = 128;
/** Beyond this the kernel's own sizes overflow. */
const MOST = 1 << 20;

/** As messages name them. */
const LABELS: Record<RingName, string> = { rx: "an rx", tx: "a tx", fill: "a fill", completion: "a completion" };

/** Throws XDPCTL_E_XSK_SIZE for a ring that the kernel would not make. */
export function checkRingSizes(sizes: RingSizes): void {
  for (const name of ORDER) {
    const size = sizes[name];
    if (Number.isInteger(size) && size >= 1 && size <= MOST && (size & (size - 1)) === 0) continue;
    throw new XdpctlError("XDPCTL_E_XSK_SIZE", `${LABELS[name]} ring of ${size} descriptors`, {
      remedy: `the size of a ring is a power of two, 1 to ${MOST}`,
    });
  }
}

/** Tells the kernel the sizes; it makes the rings. */
export function makeRings(socket: Socket, sizes: RingSizes): void {
  for (const name of ORDER) {
    const result = socket.trySetOption(SOL_XDP, RING_OPTION[name], sizes[name]);
    if (result < 0)
      throw syscallError(`making ${LABELS[name]} ring of ${sizes[name]} descriptors`, -result, "XDPCTL_E_XSK");
  }
}

type Offsets = Record<RingName, RingOffsets>;

const WORDS: Record<RingName, number> = {
  rx: DESCRIPTOR_WORDS,
  tx: DESCRIPTOR_WORDS,
  fill: ADDRESS_WORDS,
  completion: ADDRESS_WORDS,
};

/** Where the rings are in what is mapped. */
function ringOffsets(fd: number): Offsets {
  const raw = new BigUint64Array(OFFSETS_SIZE / 8);
  const length = getSocketOption(fd, SOL_XDP, XDP_MMAP_OFFSETS, raw);
  if (length < 0) throw syscallError("asking where the rings are", -length, "XDPCTL_E_XSK");
  if (length < OFFSETS_SIZE) throw new XdpctlError("XDPCTL_E_NOT_SUPPORTED", "AF_XDP needs Linux 5.4 or newer");
  const at = (name: RingName): RingOffsets => {
    const first = 4 * ORDER.indexOf(name);
    const [producer = 0, consumer = 0, slots = 0, flags = 0] = Array.from(raw.subarray(first, first + 4), Number);
    return { producer, consumer, slots, flags };
  };
  return { rx: at("rx"), tx: at("tx"), fill: at("fill"), completion: at("completion") };
}

const ringBytes = (offsets: Offsets, name: RingName, size: number): number =>
  offsets[name].slots + size * WORDS[name] * 4;

/** Maps the four rings. The kernel allows it until the socket is bound. */
export function mapRings(fd: number, sizes: RingSizes): Rings {
  const offsets = ringOffsets(fd);
  const mapped: Mapping[] = [];
  const map = (name: RingName): Ring => {
    const bytes = ringBytes(offsets, name, sizes[name]);
    const mapping = Mapping.of(fd, bytes, { writable: true, offset: PAGE_OFFSET[name] });
    mapped.push(mapping);
    return new Ring(mapping, offsets[name], sizes[name], WORDS[name]);
  };
  try {
    return { rx: map("rx"), tx: map("tx"), fill: map("fill"), completion: map("completion") };
  } catch (error) {
    for (const mapping of mapped) mapping.unmap();
    throw error;
  }
}

/**
 * Whether the rings of a socket that somebody else made have these sizes, as far as the kernel tells: it maps no page beyond
 * a ring's end. Throws XDPCTL_E_HANDOVER.
 */
export function checkRingsMade(fd: number, sizes: RingSizes): void {
  const offsets = ringOffsets(fd);
  const maps = (name: RingName, size: number): boolean => {
    try {
      Mapping.of(fd, ringBytes(offsets, name, size), { offset: PAGE_OFFSET[name] }).unmap();
      return true;
    } catch {
      return false;
    }
  };
  for (const name of ORDER) {
    const size = sizes[name];
    const pages = (n: number): number => Math.ceil(ringBytes(offsets, name, n) / PAGE_SIZE);
    const larger = pages(2 * size) > pages(size) && maps(name, 2 * size);
    if (larger || !maps(name, size))
      throw new XdpctlError(
        "XDPCTL_E_HANDOVER",
        `the socket's ${name} ring is not one of ${size}, or not its maker's to give`,
        {
          remedy: "hand over a socket that is not bound, with the sizes that its rings were made with",
        },
      );
  }
}
