// SPDX-License-Identifier: MIT
import {
  BufferSpan,
  CHECKSUM,
  completeChecksum,
  ETHERTYPE,
  FrameView,
  replyDns,
  replyUdp,
  resetSender,
} from "../packet/index.js";
import { LONGEST_FRAME, type PacketRing } from "./packet-ring.js";

/** Of frames that scripts make. Longer ones don't go into the stack: MAX_SEEN of bpf/guard.bpf.c. */
export const FRAME_LENGTH = { least: 14, most: 3384 } as const;
const MACS = 12;

/** What was made for the packet: a frame that goes back or out, or one that takes its place. */
export type Made = "" | "reply" | "redirect" | "pass";

/** The frame that is sent in place of a packet, or in answer to it: made beside it, so that the packet stays what it was. */
export class PacketAnswer {
  readonly #span = new BufferSpan(new Uint8Array(LONGEST_FRAME));
  readonly #frame = new FrameView();
  /** For the packet that is looked at now. */
  made: Made = "";
  /** The interface by which a redirected frame goes out. */
  out = 0;

  #load(bytes: Uint8Array, start: number, end: number): void {
    const { bytes: to } = this.#span;
    for (let i = start; i < end; i++) to[i - start] = bytes[i] as number;
    this.#span.start = 0;
    this.#span.end = end - start;
  }

  #reply(made: boolean): boolean {
    this.made = made ? "reply" : "";
    return made;
  }

  /** A datagram back to its sender with `payload`; false where it can't be answered. */
  udp(bytes: Uint8Array, start: number, end: number, payload: Uint8Array): boolean {
    this.#load(bytes, start, end);
    return this.#reply(replyUdp(this.#span, payload));
  }

  /** An answer with one A record (address in host order, TTL in seconds) to a DNS question. */
  dns(bytes: Uint8Array, start: number, end: number, address: number, ttl: number): boolean {
    this.#load(bytes, start, end);
    return this.#reply(replyDns(this.#span, address, ttl));
  }

  /** A reset to the sender of a TCP segment. */
  rst(bytes: Uint8Array, start: number, end: number): boolean {
    this.#load(bytes, start, end);
    return this.#reply(resetSender(this.#span, this.#span));
  }

  /** The packet as it is; where the sender's kernel left its checksum to the device, with it. */
  copy(made: Made, bytes: Uint8Array, start: number, end: number): void {
    this.#load(bytes, start, end);
    completeChecksum(this.#span.bytes, 0, this.#span.end);
    this.made = made;
  }

  /** A script's own frame. Its checksums are made anew. */
  frame(made: Made, bytes: Uint8Array): void {
    this.#load(bytes, 0, bytes.length);
    const { bytes: to, end } = this.#span;
    const view = this.#frame;
    if (view.at(to, 0, end)) {
      if (view.network === ETHERTYPE.IPV4) view.ipv4.fillChecksum();
      // UDP over IPv4 may have none.
      if (view.transport !== 0 && view.checksumState() !== CHECKSUM.NONE) view.fillChecksum();
    }
    this.made = made;
  }

  /**
   * What a router does to the frame: addresses of the link, and one hop less. False at the last hop, for what is no IP, is longer
   * than the MTU (0: any), or has a VLAN tag, as the next hop is on another link.
   */
  route(dstMac: Uint8Array, srcMac: Uint8Array, mtu: number): boolean {
    const { bytes, end } = this.#span;
    const view = this.#frame;
    this.made = "";
    if (!view.at(bytes, 0, end) || view.ethernet.tags > 0) return false;
    if (mtu > 0 && end - view.ethernet.payloadStart > mtu) return false;
    if (view.network === ETHERTYPE.IPV4 && view.ipv4.ttl > 1) view.ipv4.replaceTtl(view.ipv4.ttl - 1);
    else if (view.network === ETHERTYPE.IPV6 && view.ipv6.hopLimit > 1) view.ipv6.hopLimit -= 1;
    else return false;
    for (let i = 0; i < MACS / 2; i++) {
      bytes[i] = dstMac[i] as number;
      bytes[i + MACS / 2] = srcMac[i] as number;
    }
    this.made = "redirect";
    return true;
  }

  /** Puts the frame into the packet's slot; false where it has no room there. */
  store(ring: PacketRing, n: number): boolean {
    const { bytes, start, end } = this.#span;
    ring.redirect(n, this.out);
    return ring.write(n, bytes, start, end);
  }
}
