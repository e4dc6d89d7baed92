// SPDX-License-Identifier: MIT
import type { BpfMap } from "../bpf/index.js";
import { XdpctlError } from "../errors/index.js";
import { errno, namespaceInode, POLLOUT, Poll, type Socket, SOL_XDP } from "../linux/index.js";
import type { VerdictCounts, XdpMode } from "../xdp/index.js";
import { XDP_MAX_TX_SKB_BUDGET } from "./abi.js";
import { bindSocket, type CopyMode, makeSocket, type Place } from "./bind.js";
import { checkCount, checkHandler, checkName, checkOptions } from "./check.js";
import { statisticsOf, type XskStatistics } from "./counters.js";
import { Engine } from "./engine.js";
import { failureOf } from "./failure.js";
import { copyFor } from "./features.js";
import { Cursor, notTaken } from "./frame.js";
import { findInterface } from "./interface.js";
import { redirection, ringSizes, SEND_BUDGET, type XskOptions } from "./options.js";
import { Packet } from "./packet.js";
import { receivePackets, sendPackets } from "./packets.js";
import { produceAnnotated } from "./annotated.js";
import { produceOf } from "./produce.js";
import { directTo, Redirect } from "./redirect.js";
import { checkRingSizes, checkRingsMade, mapRings, type RingSizes } from "./ring.js";
import { type ServeOptions, serve, turnFor } from "./serve.js";
import { TxTimestamps } from "./timestamps.js";
import type { FrameHandler, Turn } from "./turn.js";
import type { Umem } from "./umem.js";

/** All that are open in this thread. */
const open = new Set<XskSocket>();

/**
 * An AF_XDP socket on one queue of an interface: packets in and out of user space, past the network stack.
 *
 * Minimum kernel: 5.9 with our redirect program. Setting one up takes CAP_NET_RAW, CAP_BPF and CAP_NET_ADMIN, using it
 * nothing. The socket, and the program on the interface, are gone when it is closed, or with the process, however it ends.
 */
export class XskSocket implements Disposable {
  readonly umem: Umem;
  readonly interface: string;
  readonly ifindex: number;
  /** @internal */
  readonly namespace = namespaceInode();
  readonly queue: number;
  readonly rings: RingSizes;
  /** How the redirect program is attached; undefined without ours. */
  readonly mode: XdpMode | undefined;
  /** Why `mode: "auto"` fell back to generic. */
  readonly fallback: string | undefined;
  /** What the kernel chose, or was told to. */
  readonly copy: CopyMode;
  /** @internal */
  readonly engine: Engine;
  readonly #socket: Socket;
  readonly #redirect: Redirect | undefined;
  readonly #map: BpfMap | undefined;
  readonly #cursor: Cursor;
  #turn: Turn | undefined;
  /** As of when it was closed. */
  #redirected: VerdictCounts | undefined;
  /** It has a cursor of its own, since a handler of `serve` may call it. */
  readonly #produce: Turn;
  #poll: Poll | undefined;
  #serving: AbortController | undefined;
  #producing = false;

  private constructor(
    place: Place,
    socket: Socket,
    engine: Engine,
    copy: CopyMode,
    how: Redirect | BpfMap | undefined,
  ) {
    this.umem = place.umem;
    this.interface = place.interface;
    this.ifindex = place.ifindex;
    this.queue = place.queue;
    this.rings = place.rings;
    this.copy = copy;
    this.engine = engine;
    engine.zeroCopy = copy === "zerocopy";
    engine.tx.fenced = engine.zeroCopy;
    engine.fill.fenced = engine.zeroCopy;
    engine.multiBuffer = place.multiBuffer;
    engine.busyPoll = place.busyPoll !== undefined;
    engine.needWakeup = place.needWakeup;
    this.#socket = socket;
    this.#redirect = how instanceof Redirect ? how : undefined;
    this.#map = how instanceof Redirect ? undefined : how;
    this.mode = this.#redirect?.attachment.mode;
    this.fallback = this.#redirect?.attachment.fallback;
    const { umem } = this;
    const keep = ({ first, start, end }: Cursor): Packet => {
      if (!engine.busy) throw new XdpctlError("XDPCTL_E_FRAME", "a frame can't be taken once its handler has returned");
      return Packet.on(umem, umem.frameOf(first), start, end);
    };
    this.#cursor = new Cursor(umem.bytes, umem.view, keep, umem.metadata);
    const maker = new Cursor(umem.bytes, umem.view, notTaken, umem.metadata);
    this.#produce =
      umem.metadata === undefined
        ? produceOf(engine, maker)
        : (handler, budget) => produceAnnotated(engine, maker, handler, budget);
  }

  /**
   * Opens a socket on a queue of an interface of the calling thread's network namespace, fills its fill ring, and attaches the
   * redirect program. A queue that was closed a moment ago is waited for (the kernel takes some 32 ms to let it go).
   *
   * Errors: XDPCTL_E_NO_INTERFACE, XDPCTL_E_INTERFACE_DOWN, XDPCTL_E_NO_QUEUE, XDPCTL_E_QUEUE_BUSY, XDPCTL_E_XSK_SIZE,
   * XDPCTL_E_MEMLOCK, XDPCTL_E_ZERO_COPY, XDPCTL_E_OCCUPIED, XDPCTL_E_MODE, XDPCTL_E_PERMISSION, XDPCTL_E_NOT_SUPPORTED.
   */
  static open(umem: Umem, name: string, options: XskOptions = {}): XskSocket {
    checkName(name);
    checkOptions(umem, options);
    const link = findInterface(name);
    // The kernel binds to an interface that is down, and then moves nothing.
    if (!link.up) throw failureOf(errno.ENETDOWN, { interface: name, queue: options.queue ?? 0 });
    const queue = options.queue ?? 0;
    const rings = ringSizes(umem, options.rings ?? {});
    checkRingSizes(rings);
    const first = umem.user?.engine;
    const place: Place = {
      umem,
      interface: link.name,
      ifindex: link.index,
      queue,
      rings,
      copy:
        umem.metadata === undefined ? (options.copy ?? "auto") : copyFor(umem.metadata, link, options.copy ?? "auto"),
      needWakeup: options.needWakeup ?? first?.needWakeup ?? true,
      multiBuffer: options.multiBuffer ?? first?.multiBuffer ?? false,
      busyPoll: options.busyPoll,
    };
    for (const other of open) {
      // The kernel would let them share the rings as well, which two owners can't.
      if (other.umem === umem && other.ifindex === link.index && other.queue === queue)
        throw new XdpctlError("XDPCTL_E_QUEUE_BUSY", `queue ${queue} of ${name} has an AF_XDP socket already`);
    }
    const socket = makeSocket(place);
    let engine: Engine | undefined;
    let how: Redirect | BpfMap | undefined;
    try {
      engine = new Engine(umem, mapRings(socket.fd, rings), socket.fd);
      // Before bind(2): a driver with zero copy looks for frames in there.
      engine.pay();
      const copy = bindSocket(socket, place);
      const budget = Math.min(options.sendBudget ?? SEND_BUDGET, rings.tx);
      // Before Linux 6.17 there is no such option, and a call sends 32.
      socket.trySetOption(SOL_XDP, XDP_MAX_TX_SKB_BUDGET, budget);
      how = redirection(place, options);
      if (how instanceof Redirect) how.direct(queue, socket.fd);
      else if (how !== undefined) directTo(how, queue, socket.fd);
      if (umem.metadata !== undefined && options.onTimestamp !== undefined)
        engine.timestamps = new TxTimestamps(umem.metadata, copy, options.onTimestamp);
      const made = new XskSocket(place, socket, engine, copy, how);
      umem.attach(made);
      open.add(made);
      // It may have gone to sleep while the fill ring was not looked at.
      if (engine.zeroCopy) engine.wakeFill();
      return made;
    } catch (error) {
      if (how instanceof Redirect) how.release();
      engine?.recall();
      // As long as its rings are mapped, the kernel keeps the socket.
      engine?.unmap();
      socket.close();
      throw error;
    }
  }

  /** @internal A socket with its rings made, and in its program, which somebody else holds: see `adoptSocket`. */
  static bound(socket: Socket, place: Place): XskSocket {
    checkRingsMade(socket.fd, place.rings);
    const engine = new Engine(place.umem, mapRings(socket.fd, place.rings), socket.fd);
    engine.foreign = true;
    try {
      engine.pay();
      const made = new XskSocket(place, socket, engine, bindSocket(socket, place), undefined);
      place.umem.attach(made);
      open.add(made);
      if (engine.zeroCopy) engine.wakeFill();
      return made;
    } catch (error) {
      engine.unmap();
      throw error;
    }
  }

  /** Those that are open in this thread. */
  static get all(): readonly XskSocket[] {
    return [...open];
  }

  /** The descriptor; -1 once it is closed. */
  get fd(): number {
    return this.engine.fd;
  }

  get closed(): boolean {
    return this.engine.fd < 0;
  }

  /**
   * Shows every received frame to `handler`, until `stop`, `close` or the signal ends it. It gives Node's timers and signals
   * their turn.
   *
   * Errors: XDPCTL_E_INTERFACE_GONE and XDPCTL_E_INTERFACE_DOWN when the interface is deleted or set down meanwhile; what the
   * handler throws.
   */
  async serve(handler: FrameHandler, options: ServeOptions = {}): Promise<void> {
    this.#assertOpen();
    if (this.#serving !== undefined)
      throw new XdpctlError("XDPCTL_E_USAGE", `the socket on ${this.interface} is being served already`);
    const abort = new AbortController();
    this.#serving = abort;
    try {
      this.#turn ??= turnFor(this.engine, this.#cursor);
      await serve(this.engine, this.#turn, handler, this, abort.signal, options);
    } finally {
      this.#serving = undefined;
    }
  }

  /**
   * Sends packets of the program's own making: shows up to `n` free frames to `handler`, one after the other, which writes
   * each (`growTail`, `replace`) and sends it; the first that it leaves unsent ends it. A frame begins empty, with 256 bytes of
   * headroom, and its bytes are those that it had last. It never waits. Returns how many were sent: less than `n` also when no
   * frame is free or the TX ring is full; `writable` waits for room. Errors: XDPCTL_E_USAGE in a handler of its own.
   */
  produce(n: number, handler: FrameHandler): number {
    this.#assertOpen();
    checkCount(n);
    checkHandler(handler);
    // There is one frame in hand.
    if (this.#producing) throw new XdpctlError("XDPCTL_E_USAGE", "produce was called in a handler of its own");
    this.#producing = true;
    try {
      const sent = this.#produce(handler, n);
      this.#check();
      return sent;
    } finally {
      this.#producing = false;
    }
  }

  /** Waits in poll(2), blocking the thread, until the TX ring has room; at most `ms`. */
  writable(ms: number): void {
    this.#assertOpen();
    this.#poll ??= new Poll([this.engine.fd]);
    this.#poll.want(0, POLLOUT);
    this.engine.counters.waits++;
    this.#poll.wait(ms);
  }

  /** Ends `serve`, which returns. */
  stop(): void {
    this.#serving?.abort();
  }

  /**
   * Up to `n` received packets, as objects; it never waits. Each holds a frame until it is sent or freed. Errors: XDPCTL_E_USAGE
   * in a handler of this socket, whose batch has the ring.
   */
  receive(n: number): Packet[] {
    this.#assertOpen();
    if (this.engine.busy)
      throw new XdpctlError("XDPCTL_E_USAGE", "receive was called in a handler of the same socket", {
        remedy: "frame.take() keeps the packet in hand",
      });
    checkCount(n);
    const packets = receivePackets(this.engine, n);
    this.#check();
    return packets;
  }

  /**
   * Sends packets in their order, as many as the TX ring takes. Those are taken off the front of the array, their frames come
   * back when the kernel has sent them; the rest stays. Returns how many were taken. Errors: XDPCTL_E_FRAME for a packet that is
   * empty, outside of its frame, or of another UMEM; what stands before it is sent.
   */
  send(packets: Packet[]): number {
    this.#assertOpen();
    const sent = sendPackets(this.engine, packets);
    this.#check();
    return sent;
  }

  /** Where the packets went. */
  get statistics(): XskStatistics {
    return statisticsOf(this.engine);
  }

  /** What the redirect program did with the interface's frames, all queues together; undefined without ours. */
  get redirected(): VerdictCounts | undefined {
    return this.closed ? this.#redirected : this.#redirect?.counts();
  }

  #assertOpen(): void {
    if (this.closed) throw new XdpctlError("XDPCTL_E_USAGE", `the socket on ${this.interface} is closed`);
  }

  #check(): void {
    if (this.engine.failure !== 0) throw failureOf(this.engine.failure, this);
  }

  /** Takes the socket out of the program, and the program off the interface with its last socket. Ends `serve`. */
  close(): void {
    if (this.closed) return;
    const { engine } = this;
    this.stop();
    open.delete(this);
    engine.close();
    this.#redirect?.undirect(this.queue);
    // A socket that is closed leaves the map by itself; a brought map is told as well, so that its program passes at once.
    this.#map?.deleteBytes(Buffer.from(Uint32Array.of(this.queue).buffer));
    this.#socket.close();
    this.#redirected = this.#redirect?.counts();
    this.#redirect?.release();
    this.umem.detach(this);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
