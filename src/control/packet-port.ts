// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import type { Loop } from "../loop/index.js";
import { openRoute } from "../netlink/index.js";
import { ETHERTYPE } from "../packet/index.js";
import type { PacketFeed } from "../policy/index.js";
import { type Frame, missedPackets, Umem, XskSocket } from "../xsk/index.js";

/** Frames of each queue: what the kernel has to receive into, and what waits to be sent. */
const FRAMES = 1024;
const RING = 512;
const FRAME_SIZE = 4096;
export const MOST_QUEUES = 64;

const ETHERNET_HEADER = 14;
const VLAN_TAG = 4;
/** No MTU is less (RFC 791). */
const SHORT = ETHERNET_HEADER + 68;
/** How long an MTU that was read counts. */
const MTU_MS = 1000;

function readMtu(ifindex: number): number | undefined {
  const route = openRoute();
  try {
    return route.link(ifindex)?.mtu;
  } finally {
    route.close();
  }
}

/** One queue of an interface whose packets policies see, and by which they answer. */
export class PacketPort {
  readonly id: number;
  readonly ifindex: number;
  readonly socket: XskSocket;
  readonly #umem: Umem;
  /** Replies that wait for the end of a batch: numbers of slots in a policy's ring. */
  readonly #replies: number[] = [];
  #feed: PacketFeed | undefined;
  #mtu = Number.POSITIVE_INFINITY;
  #mtuRead = Number.NEGATIVE_INFINITY;
  /** What `missed` has told already. */
  #told = 0;
  #next = 0;
  readonly #write = (frame: Frame): void => {
    const { ring } = this.#feed as PacketFeed;
    const n = this.#replies[this.#next++] as number;
    const [start, end] = [ring.start(n), ring.end(n)];
    frame.growTail(end - start);
    const { bytes } = frame;
    for (let from = start, to = frame.start; from < end; from++, to++) bytes[to] = ring.bytes[from] as number;
    frame.send();
  };

  private constructor(id: number, socket: XskSocket, umem: Umem) {
    this.id = id;
    this.socket = socket;
    this.ifindex = socket.ifindex;
    this.#umem = umem;
  }

  static open(id: number, name: string, queue: number): PacketPort {
    const umem = Umem.create({ frameSize: FRAME_SIZE, frameCount: FRAMES });
    try {
      const rings = { rx: RING, tx: RING, fill: RING, completion: RING };
      return new PacketPort(id, XskSocket.open(umem, name, { queue, rings, redirect: false }), umem);
    } catch (error) {
      umem.close();
      throw error;
    }
  }

  /** The sockets of all queues of an interface. Errors: those of `XskSocket.open`. */
  static openAll(name: string, nextId: () => number): PacketPort[] {
    const ports: PacketPort[] = [];
    try {
      for (let queue = 0; queue < MOST_QUEUES; queue++) {
        try {
          ports.push(PacketPort.open(nextId(), name, queue));
        } catch (error) {
          // The kernel tells by this how many there are.
          if (queue > 0 && XdpctlError.is(error, "XDPCTL_E_NO_QUEUE")) break;
          throw error;
        }
      }
      return ports;
    } catch (error) {
      for (const port of ports) port.close();
      throw error;
    }
  }

  /** Shows every frame to `handler` in the loop; `ended` is told when the interface goes. */
  serve(loop: Loop, handler: (frame: Frame) => void, ended: (error: XdpctlError) => void): void {
    this.socket.serve(handler, { wait: "loop", loop }).catch((error: unknown) => ended(XdpctlError.wrap(error)));
  }

  /** Whether a reply is no longer than the interface's MTU allows: the kernel would drop it, and not say so. */
  fits(bytes: Uint8Array, start: number, end: number): boolean {
    const length = end - start;
    if (length <= SHORT) return true;
    const now = performance.now();
    if (now - this.#mtuRead > MTU_MS) {
      this.#mtuRead = now;
      this.#mtu = readMtu(this.ifindex) ?? this.#mtu;
    }
    let header = ETHERNET_HEADER;
    for (let tags = 0; tags < 2; tags++) {
      const type = ((bytes[start + header - 2] as number) << 8) | (bytes[start + header - 1] as number);
      if (type !== ETHERTYPE.VLAN && type !== ETHERTYPE.QINQ) break;
      header += VLAN_TAG;
    }
    return length <= this.#mtu + header;
  }

  /** A reply that lies in a slot of the feed's ring; sent by `flush`. */
  reply(n: number): void {
    this.#replies.push(n);
  }

  /** Sends the replies that wait; returns how many found no room. */
  flush(feed: PacketFeed): number {
    const replies = this.#replies;
    if (replies.length === 0) return 0;
    this.#feed = feed;
    this.#next = 0;
    let sent = 0;
    try {
      if (!this.socket.closed) sent = this.socket.produce(replies.length, this.#write);
    } catch (error) {
      // The interface is going: whoever serves the socket is told.
      if (!XdpctlError.is(error)) throw error;
    }
    const missed = replies.length - sent;
    replies.length = 0;
    return missed;
  }

  /** How many packets the kernel could not put into the RX ring since the last call. */
  missed(): number {
    if (this.socket.closed) return 0;
    const since = missedPackets(this.socket) - this.#told;
    this.#told += since;
    return since;
  }

  /**
   * Shows what the kernel has put into the RX ring, once it puts no more there. Returns how many frames were taken out of it
   * that can't be shown: the interface is going.
   */
  drain(show: (bytes: Uint8Array, start: number, end: number) => void): number {
    const { socket } = this;
    if (socket.closed) return 0;
    const before = socket.statistics.received;
    let shown = 0;
    try {
      for (let round = 0; round < 2; round++)
        for (const packet of socket.receive(RING)) {
          show(packet.bytes, packet.start, packet.end);
          shown++;
          packet.free();
        }
    } catch (error) {
      if (!XdpctlError.is(error)) throw error;
    }
    return socket.statistics.received - before - shown;
  }

  close(): void {
    this.socket.close();
    this.#umem.close();
  }
}
