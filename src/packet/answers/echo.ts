// SPDX-License-Identifier: MIT
import { parseAddress } from "../address.js";
import { macOf } from "../bytes.js";
import { ICMP_TYPE, ICMPV6_TYPE } from "../icmp.js";
import { ETHERTYPE, IP_PROTOCOL } from "../protocol.js";
import { replaceU16 } from "../views/checksum.js";
import { CHECKSUM, FrameView } from "../views/frame.js";
import type { ResizableSpan } from "../views/span.js";
import { i32At, sameBytes } from "../views/wire.js";
import { answerable, isPlainUdp, turnAround } from "./answerable.js";
import { answerArp, answerSolicitation } from "./neighbour.js";

const ECHO_PORT = 7;

export interface EchoOptions {
  /** The interface's own: text or 6 bytes. */
  readonly mac: string | Uint8Array;
  /** The addresses that answer, IPv4 and IPv6, as text; none other does. */
  readonly addresses: readonly string[];
}

/**
 * A host that answers ARP, neighbour solicitations, pings of both families, and UDP at port 7, for its own addresses:
 * from frame to answer in place, nothing allocated.
 *
 * Not answered: what isn't for it (another MAC or address, broadcast, multicast), fragments, wrong checksums, lengths
 * that lie, IPv6 with extension headers, senders that are no hosts, and UDP from port 7 (two echoes would never end).
 */
export class EchoHost {
  readonly #mac: Uint8Array;
  /** Signed, so that V8 allocates none of them. */
  readonly #v4: readonly number[];
  readonly #v6: readonly Uint8Array[];
  readonly #frame = new FrameView();

  /** @throws XDPCTL_E_USAGE for what is no MAC or address. */
  constructor({ mac, addresses }: EchoOptions) {
    this.#mac = macOf(mac).slice();
    const parsed = addresses.map(parseAddress);
    this.#v4 = parsed.filter(({ family }) => family === 4).map(({ bytes }) => i32At(bytes, 0));
    this.#v6 = parsed.filter(({ family }) => family === 6).map(({ bytes }) => bytes);
  }

  /** Makes the frame its answer, and says so: send it. False: the frame is as it was, and nobody is answered. */
  answer(span: ResizableSpan): boolean {
    const frame = this.#frame;
    if (!frame.at(span.bytes, span.start, span.end)) return false;
    const mine = sameBytes(span.bytes, span.start, this.#mac, 0, 6);
    if (!mine && !frame.ethernet.toGroup) return false;
    if (frame.network === ETHERTYPE.ARP) return this.#arp(frame);
    if (frame.transport === IP_PROTOCOL.ICMPV6 && frame.icmp.type === ICMPV6_TYPE.NEIGHBOR_SOLICITATION)
      return this.#solicitation(frame, span);
    return mine && this.#isAsked(frame) && this.#echo(frame);
  }

  #arp(frame: FrameView): boolean {
    for (const own of this.#v4) if (answerArp(frame, this.#mac, own)) return true;
    return false;
  }

  #solicitation(frame: FrameView, span: ResizableSpan): boolean {
    const target = frame.transportStart + 8;
    if (target + 16 > frame.transportEnd) return false;
    for (const own of this.#v6)
      if (sameBytes(span.bytes, target, own, 0, 16)) return answerSolicitation(frame, span, this.#mac, own);
    return false;
  }

  #isAsked(frame: FrameView): boolean {
    if (frame.network === ETHERTYPE.IPV4) {
      const dst = i32At(frame.ipv4.bytes, frame.ipv4.start + 16);
      for (let i = 0; i < this.#v4.length; i++) if (this.#v4[i] === dst) return true;
      return false;
    }
    if (frame.network !== ETHERTYPE.IPV6 || frame.ipv6.extensions !== 0) return false;
    const { bytes, dstAt } = frame.ipv6;
    for (const own of this.#v6) if (sameBytes(bytes, dstAt, own, 0, 16)) return true;
    return false;
  }

  #echo(frame: FrameView): boolean {
    const { transport } = frame;
    if (transport === IP_PROTOCOL.UDP) return this.#udp(frame);
    const v4 = transport === IP_PROTOCOL.ICMP;
    if (!v4 && transport !== IP_PROTOCOL.ICMPV6) return false;
    const { icmp } = frame;
    if (icmp.type !== (v4 ? ICMP_TYPE.ECHO : ICMPV6_TYPE.ECHO) || icmp.code !== 0) return false;
    if (answerable(frame) === CHECKSUM.WRONG) return false;
    turnAround(frame);
    const reply = v4 ? ICMP_TYPE.ECHO_REPLY : ICMPV6_TYPE.ECHO_REPLY;
    replaceU16(icmp.bytes, icmp.start, reply << 8, icmp.start + 2);
    return true;
  }

  #udp(frame: FrameView): boolean {
    const { udp } = frame;
    if (udp.dport !== ECHO_PORT || udp.sport === ECHO_PORT || !isPlainUdp(frame)) return false;
    const state = answerable(frame);
    if (state === CHECKSUM.WRONG) return false;
    turnAround(frame);
    udp.swapPorts();
    // The same words are summed; only what was left to a device has to be made.
    if (state === CHECKSUM.PARTIAL) frame.fillChecksum();
    return true;
  }
}
