// SPDX-License-Identifier: MIT
import { RingBuffer } from "../../bpf/index.js";
import { XdpctlError } from "../../errors/index.js";
import {
  AF_UNIX,
  abstractAddress,
  errno,
  needCapabilities,
  SOCK_STREAM,
  Socket,
  syscallError,
} from "../../linux/index.js";
import type { Loop, LoopHandle } from "../../loop/index.js";
import { XdpInterface } from "../../xdp/index.js";
import { FilterInterpreter } from "../classic/interpret.js";
import { compileFilter } from "../filter.js";
import { chooseWay } from "./choose.js";
import type { FrameCounts } from "./counts.js";
import { CapturedFrame } from "./frame.js";
import type { CaptureHow, Way } from "./way.js";
import { WrapperPins } from "./wrapper-pins.js";

const RING = 8 << 20;
const SECOND = 1000;

export interface XdpCaptureOptions {
  /** In tcpdump's language. */
  filter?: string;
  /** Bytes of a frame that are kept; all by default. */
  snaplen?: number;
  /** Bytes of the ring, a power of two; 8 MiB by default. */
  ringBytes?: number;
  /** After frames were handed on. */
  onBatch?: () => void;
  /** Nothing more comes: the interface is gone (XDPCTL_E_INTERFACE_GONE), its program was replaced (XDPCTL_E_NOT_ATTACHED). */
  onEnd?: (why: XdpctlError) => void;
}

/** `seen`: frames that came to the interface's program, before the filter. */
export interface XdpCaptureCounts extends FrameCounts {
  /** Frames that were handed on. */
  readonly frames: number;
}

/**
 * What XDP sees on an interface, with its verdict: frames that come in, before the network stack. Linux 5.18; CAP_BPF,
 * CAP_NET_ADMIN, and CAP_SYS_ADMIN where a program is attached already. Close it: what was there is put back.
 */
export class XdpCapture implements AsyncDisposable {
  readonly how: CaptureHow;
  /** Where the filter runs; undefined without one. */
  readonly filterIn: "kernel" | "user space" | undefined;
  /** Why it does not run in the kernel. */
  readonly filterWhy: string | undefined;
  /** The program that a capture before, which was killed, had not put back. */
  readonly repaired: string | undefined;
  readonly #way: Way;
  readonly #at: XdpInterface;
  readonly #lock: Socket;
  readonly #ring: RingBuffer;
  readonly #frame: CapturedFrame;
  readonly #loop: Loop;
  readonly #handler: (frame: CapturedFrame) => void;
  readonly #options: XdpCaptureOptions;
  readonly #filter: FilterInterpreter | undefined;
  readonly #snaplen: number;
  readonly #tick: LoopHandle;
  #watch: LoopHandle | undefined;
  #paused = false;
  #stopped = false;
  #closing: Promise<string | undefined> | undefined;
  #released: Promise<string | undefined> | undefined;
  #frames = 0;
  #counts: FrameCounts = { seen: 0, lost: 0 };

  private constructor(
    loop: Loop,
    held: { at: XdpInterface; lock: Socket; way: Way; repaired: string | undefined },
    handler: (frame: CapturedFrame) => void,
    options: XdpCaptureOptions,
  ) {
    const { at, lock, way, repaired } = held;
    this.#loop = loop;
    this.#at = at;
    this.#lock = lock;
    this.#way = way;
    this.#handler = handler;
    this.#options = options;
    this.how = way.how;
    this.repaired = repaired;
    this.filterWhy = options.filter === undefined ? undefined : way.unfiltered;
    this.filterIn = options.filter === undefined ? undefined : way.unfiltered === undefined ? "kernel" : "user space";
    this.#filter =
      this.filterIn === "user space" ? new FilterInterpreter(compileFilter(options.filter ?? "")) : undefined;
    this.#snaplen = options.snaplen ?? Number.POSITIVE_INFINITY;
    this.#ring = new RingBuffer(way.ring);
    this.#frame = new CapturedFrame(this.#ring);
    this.#tick = loop.every(SECOND, () => this.#renew());
    this.#listen();
  }

  /**
   * Starts in the calling thread's network namespace. `handler` is called for each frame with the same object.
   *
   * Errors: XDPCTL_E_USAGE for a filter, with libpcap's own words; XDPCTL_E_NO_INTERFACE; XDPCTL_E_OCCUPIED where it is
   * captured already; XDPCTL_E_NOT_SUPPORTED; XDPCTL_E_PERMISSION.
   */
  static async start(
    loop: Loop,
    name: string,
    handler: (frame: CapturedFrame) => void,
    options: XdpCaptureOptions = {},
  ): Promise<XdpCapture> {
    const filter = options.filter === undefined ? undefined : compileFilter(options.filter);
    // What it can't run at all is refused before anything is touched.
    if (filter !== undefined) new FilterInterpreter(filter);
    const at = XdpInterface.open(name);
    let lock: Socket | undefined;
    try {
      needCapabilities(`capturing on ${name}`, "CAP_BPF", "CAP_NET_ADMIN");
      lock = lockInterface(at);
      const repaired = new WrapperPins(at.ifindex).repair(at);
      const way = await chooseWay(at, { filter, snaplen: options.snaplen, ringBytes: options.ringBytes ?? RING });
      try {
        return new XdpCapture(loop, { at, lock, way, repaired }, handler, options);
      } catch (error) {
        await way.release();
        way.close();
        throw error;
      }
    } catch (error) {
      lock?.close();
      at.close();
      throw error;
    }
  }

  #listen(): void {
    this.#watch = this.#loop.watch(this.#ring.fd, (_, budget) => this.#read(budget));
  }

  #renew(): void {
    if (this.#stopped) return;
    this.#frame.setClock();
    const why = this.#way.renew();
    if (why === undefined) return;
    this.#stopped = true;
    this.#options.onEnd?.(why);
  }

  readonly #give = (at: number, room: number): void => {
    const frame = this.#frame;
    frame.point(at, room);
    if (this.#filter !== undefined) {
      if (!this.#filter.matches(frame.bytes, frame.start, frame.end, frame.length)) return;
      frame.end = Math.min(frame.end, frame.start + this.#snaplen);
    }
    this.#frames++;
    this.#handler(frame);
  };

  #read(budget: number): void {
    if (this.#ring.consume(this.#give, budget) > 0) this.#options.onBatch?.();
  }

  /** Hands on what waits in the ring. */
  drain(): void {
    while (!this.#paused && this.#ring.consume(this.#give, 4096) > 0) this.#options.onBatch?.();
  }

  /** Leaves what comes in the ring, until `resume`; what does not fit is lost and counted. */
  pause(): void {
    this.#paused = true;
    this.#watch?.close();
    this.#watch = undefined;
  }

  resume(): void {
    if (!this.#paused || this.#closing !== undefined) return;
    this.#paused = false;
    this.#listen();
  }

  get counts(): XdpCaptureCounts {
    if (this.#closing === undefined) this.#counts = this.#way.counts;
    return { frames: this.#frames, ...this.#counts };
  }

  /** Puts back what was there; frames that wait can still be drained. Returns what could not be put back. */
  release(): Promise<string | undefined> {
    this.#stopped = true;
    this.#tick.close();
    this.#released ??= this.#way.release();
    return this.#released;
  }

  /** Ends it. `release` comes first, unless it came. */
  close(): Promise<string | undefined> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<string | undefined> {
    this.#counts = this.#way.counts;
    try {
      return await this.release();
    } finally {
      this.#watch?.close();
      this.#ring.close();
      this.#way.close();
      this.#lock.close();
      this.#at.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** One capture of an interface at a time: an abstract address is the network namespace's own, and goes with its process. */
function lockInterface(at: XdpInterface): Socket {
  const lock = new Socket(AF_UNIX, SOCK_STREAM, 0);
  const result = lock.bind(abstractAddress(`xdpctl/capture/${at.ifindex}`));
  if (result >= 0) return lock;
  lock.close();
  if (result !== -errno.EADDRINUSE) throw syscallError(`locking ${at.name} for a capture`, -result);
  throw new XdpctlError("XDPCTL_E_OCCUPIED", `${at.name} is being captured already`, {
    remedy: "end the other capture first",
  });
}
