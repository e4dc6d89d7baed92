// SPDX-License-Identifier: MIT
import { BufferSpan, replyDns, replyUdp, resetSender } from "../packet/index.js";
import type { PacketRing } from "./packet-ring.js";

const ROOM = 4096;

/** The frame that is sent back in place of a packet: made beside it, so that the packet stays what it was. */
export class PacketAnswer {
  readonly #span = new BufferSpan(new Uint8Array(ROOM));
  /** Whether a reply was made for the packet that is looked at now. */
  made = false;

  #load(bytes: Uint8Array, start: number, end: number): void {
    const { bytes: to } = this.#span;
    for (let i = start; i < end; i++) to[i - start] = bytes[i] as number;
    this.#span.start = 0;
    this.#span.end = end - start;
  }

  /** A datagram back to its sender with `payload`; false where it can't be answered. */
  udp(bytes: Uint8Array, start: number, end: number, payload: Uint8Array): boolean {
    this.#load(bytes, start, end);
    this.made = replyUdp(this.#span, payload);
    return this.made;
  }

  /** An answer with one A record (address in host order, TTL in seconds) to a DNS question. */
  dns(bytes: Uint8Array, start: number, end: number, address: number, ttl: number): boolean {
    this.#load(bytes, start, end);
    this.made = replyDns(this.#span, address, ttl);
    return this.made;
  }

  /** A reset to the sender of a TCP segment. */
  rst(bytes: Uint8Array, start: number, end: number): boolean {
    this.#load(bytes, start, end);
    this.made = resetSender(this.#span, this.#span);
    return this.made;
  }

  /** Puts the reply into the packet's slot; false where it has no room there. */
  store(ring: PacketRing, n: number): boolean {
    const { bytes, start, end } = this.#span;
    return ring.write(n, bytes, start, end);
  }
}
