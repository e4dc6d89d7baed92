// SPDX-License-Identifier: MIT
import { ETHERTYPE, IP_PROTOCOL } from "../protocol.js";
import { ArpView } from "./arp.js";
import { finishSum, foldSum, pseudoSum, sumBytes, udpChecksum } from "./checksum.js";
import { EthernetView } from "./ethernet.js";
import { IcmpView } from "./icmp.js";
import { IPv4View } from "./ipv4.js";
import { IPv6View } from "./ipv6.js";
import { TcpView } from "./tcp.js";
import { UdpView } from "./udp.js";
import { setU16, u16At } from "./wire.js";

/** What the checksum of a transport header is. */
export const CHECKSUM = {
  /** It covers what it should. */
  VALID: 0,
  /** UDP over IPv4 without one. */
  NONE: 1,
  /**
   * The sender's kernel left it to the device: the field has the sum of the pseudo-header alone. So are frames of a veth
   * whose offload is on; nothing after AF_XDP would complete it.
   */
  PARTIAL: 2,
  WRONG: 3,
} as const;

export type ChecksumState = (typeof CHECKSUM)[keyof typeof CHECKSUM];

/** A whole frame: Ethernet, ARP or IP, and the transport header, each as a view that is pointed with it. */
export class FrameView {
  readonly ethernet = new EthernetView();
  readonly arp = new ArpView();
  readonly ipv4 = new IPv4View();
  readonly ipv6 = new IPv6View();
  readonly tcp = new TcpView();
  readonly udp = new UdpView();
  /** ICMP and ICMPv6. */
  readonly icmp = new IcmpView();
  /** ETHERTYPE.ARP, IPV4 or IPV6 when that view may be used; else 0. */
  network = 0;
  /** IP_PROTOCOL.TCP, UDP, ICMP or ICMPV6 when that view may be used, which it may not in fragments; else 0. */
  transport = 0;
  /**
   * The same for headers alone: a first fragment's, too, when it has the whole header, so that its ports are no secret. There
   * the payload is a part, and the checksum covers more than is here: such a frame is looked at, not answered.
   */
  header = 0;
  /** Where the transport header begins, and what its length says ends. */
  transportStart = 0;
  transportEnd = 0;

  /** False when not even the Ethernet header is whole; then `network` tells how far it was understood. */
  at(bytes: Uint8Array, start: number, end: number): boolean {
    this.network = 0;
    this.transport = 0;
    this.header = 0;
    const { ethernet } = this;
    if (!ethernet.at(bytes, start, end)) return false;
    const { etherType, payloadStart } = ethernet;
    if (etherType === ETHERTYPE.IPV4) {
      const ip = this.ipv4;
      if (!ip.at(bytes, payloadStart, end)) return true;
      this.network = etherType;
      if (!ip.isFragment) this.#transport(bytes, ip.protocol, ip.payloadStart, ip.payloadEnd, IP_PROTOCOL.ICMP);
      else if (ip.fragmentOffset === 0)
        this.#first(bytes, ip.protocol, ip.payloadStart, ip.payloadEnd, IP_PROTOCOL.ICMP);
    } else if (etherType === ETHERTYPE.IPV6) {
      const ip = this.ipv6;
      if (!ip.at(bytes, payloadStart, end)) return true;
      this.network = etherType;
      if (!ip.isFragment) this.#transport(bytes, ip.protocol, ip.payloadStart, ip.payloadEnd, IP_PROTOCOL.ICMPV6);
      else if (ip.fragmentOffset === 0)
        this.#first(bytes, ip.protocol, ip.payloadStart, ip.payloadEnd, IP_PROTOCOL.ICMPV6);
    } else if (etherType === ETHERTYPE.ARP && this.arp.at(bytes, payloadStart, end)) {
      this.network = etherType;
    }
    return true;
  }

  #transport(bytes: Uint8Array, protocol: number, start: number, end: number, icmp: number): void {
    this.transportStart = start;
    this.transportEnd = end;
    if (protocol === IP_PROTOCOL.UDP) {
      if (!this.udp.at(bytes, start, end)) return;
      this.transportEnd = this.udp.payloadEnd;
    } else if (protocol === IP_PROTOCOL.TCP) {
      if (!this.tcp.at(bytes, start, end)) return;
    } else if (protocol !== icmp || !this.icmp.at(bytes, start, end)) {
      return;
    }
    this.transport = protocol;
    this.header = protocol;
  }

  /** Of a first fragment. */
  #first(bytes: Uint8Array, protocol: number, start: number, end: number, icmp: number): void {
    if (protocol === IP_PROTOCOL.UDP && this.udp.atFirst(bytes, start, end)) this.transportEnd = this.udp.payloadEnd;
    else if (protocol === IP_PROTOCOL.TCP && this.tcp.at(bytes, start, end)) this.transportEnd = end;
    else if (protocol === icmp && this.icmp.at(bytes, start, end)) this.transportEnd = end;
    else return;
    this.transportStart = start;
    this.header = protocol;
  }

  /** Where the transport's checksum is. */
  get checksumAt(): number {
    const { transport } = this;
    return this.transportStart + (transport === IP_PROTOCOL.UDP ? 6 : transport === IP_PROTOCOL.TCP ? 16 : 2);
  }

  /** The sum of the pseudo-header; 0 for ICMP over IPv4, which has none. */
  #pseudo(): number {
    const { transport } = this;
    if (transport === IP_PROTOCOL.ICMP) return 0;
    const length = this.transportEnd - this.transportStart;
    return this.network === ETHERTYPE.IPV4
      ? pseudoSum(this.ipv4.bytes, this.ipv4.start + 12, 8, transport, length)
      : pseudoSum(this.ipv6.bytes, this.ipv6.start + 8, 32, transport, length);
  }

  /** Sums the transport header and its payload, and says what its checksum is; WRONG without a transport header. */
  checksumState(): ChecksumState {
    const { transport } = this;
    if (transport === 0) return CHECKSUM.WRONG;
    const { bytes } = this.ethernet;
    const field = u16At(bytes, this.checksumAt);
    if (field === 0 && transport === IP_PROTOCOL.UDP)
      return this.network === ETHERTYPE.IPV4 ? CHECKSUM.NONE : CHECKSUM.WRONG;
    if (this.network === ETHERTYPE.IPV6 && this.ipv6.routed) return CHECKSUM.WRONG;
    const pseudo = this.#pseudo();
    if (finishSum(sumBytes(bytes, this.transportStart, this.transportEnd, pseudo)) === 0) return CHECKSUM.VALID;
    const offloaded = transport === IP_PROTOCOL.UDP || transport === IP_PROTOCOL.TCP;
    return offloaded && field === foldSum(pseudo) ? CHECKSUM.PARTIAL : CHECKSUM.WRONG;
  }

  /**
   * Leaves the transport's checksum to the kernel or the device: writes the sum of the pseudo-header, on which they build, into
   * its field (CHECKSUM.PARTIAL). False without a transport header, and behind a routing header, whose last address would count.
   */
  seedChecksum(): boolean {
    if (this.transport === 0 || (this.network === ETHERTYPE.IPV6 && this.ipv6.routed)) return false;
    setU16(this.ethernet.bytes, this.checksumAt, foldSum(this.#pseudo()));
    return true;
  }

  /** Writes the transport's checksum from nothing. */
  fillChecksum(): void {
    if (this.transport === 0) return;
    const { bytes } = this.ethernet;
    const at = this.checksumAt;
    setU16(bytes, at, 0);
    const checksum = finishSum(sumBytes(bytes, this.transportStart, this.transportEnd, this.#pseudo()));
    setU16(bytes, at, this.transport === IP_PROTOCOL.UDP ? udpChecksum(checksum) : checksum);
  }
}

const frame = new FrameView();

/**
 * Completes a checksum that the sender's kernel left to the device, as frames of a veth have it whose offload is on: to
 * be called before such a frame is sent anywhere else. True when it was one; all others stay as they are.
 */
export function completeChecksum(bytes: Uint8Array, start: number, end: number): boolean {
  if (!frame.at(bytes, start, end) || frame.checksumState() !== CHECKSUM.PARTIAL) return false;
  frame.fillChecksum();
  return true;
}
