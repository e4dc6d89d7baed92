// SPDX-License-Identifier: MIT
import { ETHERTYPE, IP_PROTOCOL } from "../protocol.js";
import { EthernetView } from "./ethernet.js";
import { IPv4View } from "./ipv4.js";
import { IPv6View } from "./ipv6.js";
import { u16At, u32At } from "./wire.js";

const ethernet = new EthernetView();
const ipv4 = new IPv4View();
const ipv6 = new IPv6View();

/** Murmur3's step and end: 32 bits in, well mixed 32 bits out. */
function mix(hash: number, word: number): number {
  const k = Math.imul(word, 0xcc9e2d51);
  const h = hash ^ Math.imul((k << 15) | (k >>> 17), 0x1b873593);
  return (Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64) | 0;
}

function finish(hash: number): number {
  let h = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/**
 * Addresses, ports and protocol of a frame, as numbers: what tells one flow from another. One object is pointed at
 * frame after frame; `copyFrom` keeps one.
 */
export class FlowView {
  /** 4 or 6. */
  family = 0;
  protocol = 0;
  /**
   * Words of 32 bits, host order, signed (`>>> 0` makes them unsigned): so they are small integers to the engine, which
   * it keeps without boxes. Of IPv4 `src3` and `dst3` alone, the others are 0.
   */
  src0 = 0;
  src1 = 0;
  src2 = 0;
  src3 = 0;
  dst0 = 0;
  dst1 = 0;
  dst2 = 0;
  dst3 = 0;
  /** 0 where there are none: other protocols than TCP and UDP, and fragments. */
  sport = 0;
  dport = 0;

  /** False for what is not IP, or cut short. */
  at(bytes: Uint8Array, start: number, end: number): boolean {
    if (!ethernet.at(bytes, start, end)) return false;
    const at = ethernet.payloadStart;
    if (ethernet.etherType === ETHERTYPE.IPV4) {
      if (!ipv4.at(bytes, at, end)) return false;
      this.family = 4;
      this.src0 = this.src1 = this.src2 = this.dst0 = this.dst1 = this.dst2 = 0;
      this.src3 = ipv4.src | 0;
      this.dst3 = ipv4.dst | 0;
      this.#ports(bytes, ipv4.protocol, ipv4.isFragment, ipv4.payloadStart, ipv4.payloadEnd);
      return true;
    }
    if (ethernet.etherType !== ETHERTYPE.IPV6 || !ipv6.at(bytes, at, end)) return false;
    this.family = 6;
    this.src0 = u32At(bytes, at + 8) | 0;
    this.src1 = u32At(bytes, at + 12) | 0;
    this.src2 = u32At(bytes, at + 16) | 0;
    this.src3 = u32At(bytes, at + 20) | 0;
    this.dst0 = u32At(bytes, at + 24) | 0;
    this.dst1 = u32At(bytes, at + 28) | 0;
    this.dst2 = u32At(bytes, at + 32) | 0;
    this.dst3 = u32At(bytes, at + 36) | 0;
    this.#ports(bytes, ipv6.protocol, ipv6.isFragment, ipv6.payloadStart, ipv6.payloadEnd);
    return true;
  }

  #ports(bytes: Uint8Array, protocol: number, fragment: boolean, start: number, end: number): void {
    this.protocol = protocol;
    const has = (protocol === IP_PROTOCOL.TCP || protocol === IP_PROTOCOL.UDP) && !fragment && end - start >= 4;
    this.sport = has ? u16At(bytes, start) : 0;
    this.dport = has ? u16At(bytes, start + 2) : 0;
  }

  /** 32 bits, unsigned; both directions of a flow differ. `seed` keeps others from choosing collisions. */
  hash(seed = 0): number {
    let h = mix(mix(mix(seed, this.src3), this.dst3), (this.sport << 16) | this.dport);
    if (this.family === 6) {
      h = mix(mix(mix(h, this.src0), this.src1), this.src2);
      h = mix(mix(mix(h, this.dst0), this.dst1), this.dst2);
    }
    return finish(mix(h, this.protocol));
  }

  /** The same number for both directions of a flow. */
  symmetricHash(seed = 0): number {
    let one = mix(mix(seed, this.src3), this.sport);
    let other = mix(mix(seed, this.dst3), this.dport);
    if (this.family === 6) {
      one = mix(mix(mix(one, this.src0), this.src1), this.src2);
      other = mix(mix(mix(other, this.dst0), this.dst1), this.dst2);
    }
    return finish(mix((one ^ other) + Math.imul(one, other), this.protocol));
  }

  equals(other: FlowView): boolean {
    return (
      this.family === other.family &&
      this.protocol === other.protocol &&
      this.sport === other.sport &&
      this.dport === other.dport &&
      this.src3 === other.src3 &&
      this.dst3 === other.dst3 &&
      this.src0 === other.src0 &&
      this.src1 === other.src1 &&
      this.src2 === other.src2 &&
      this.dst0 === other.dst0 &&
      this.dst1 === other.dst1 &&
      this.dst2 === other.dst2
    );
  }

  copyFrom(other: FlowView): void {
    this.family = other.family;
    this.protocol = other.protocol;
    this.sport = other.sport;
    this.dport = other.dport;
    this.src0 = other.src0;
    this.src1 = other.src1;
    this.src2 = other.src2;
    this.src3 = other.src3;
    this.dst0 = other.dst0;
    this.dst1 = other.dst1;
    this.dst2 = other.dst2;
    this.dst3 = other.dst3;
  }
}
