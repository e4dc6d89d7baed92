// SPDX-License-Identifier: MIT
import { IP_PROTOCOL, isExtensionHeader } from "../protocol.js";
import { holds, View } from "./view.js";
import { setU16, setU32, swapBytes, u16At, u32At } from "./wire.js";

/** Extension headers that are walked; `at` is false for a packet with more. */
const MAX_EXTENSIONS = 8;

const PAD_1 = 0;

const isFollowed = (protocol: number): boolean =>
  protocol === IP_PROTOCOL.DESTINATION || protocol === IP_PROTOCOL.ROUTING;

/** Of an option that isn't known, the upper two bits say whether the packet may be read on (RFC 8200 §4.2). */
function skipsOptions(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; ) {
    const type = bytes[at] as number;
    if (type === PAD_1) {
      at++;
      continue;
    }
    if (at + 1 === end || type >= 0x40) return false;
    at += 2 + (bytes[at + 1] as number);
    if (at > end) return false;
  }
  return true;
}

/** An IPv6 header (RFC 8200) with its extension headers. Jumbograms are not read. */
export class IPv6View extends View {
  /** What follows the extension headers; in a later fragment, what the whole packet has at that place. */
  protocol = 0;
  /** How many extension headers lie before `payloadStart`. */
  extensions = 0;
  /** Whether it is a part of a packet, the first one included; a fragment header alone (an "atomic" one) counts too. */
  isFragment = false;
  /** Bytes, a multiple of 8. */
  fragmentOffset = 0;
  moreFragments = false;
  /** Whether a routing header has segments left: then `dst` is not the end, and not what checksums cover. */
  routed = false;

  at(bytes: Uint8Array, start: number, end: number): boolean {
    if (!holds(bytes, start, end, 40) || (bytes[start] as number) >> 4 !== 6) return false;
    const last = start + 40 + u16At(bytes, start + 4);
    if (last > end) return false;
    this.bytes = bytes;
    this.start = start;
    this.end = end;
    this.payloadEnd = last;
    this.protocol = bytes[start + 6] as number;
    this.payloadStart = start + 40;
    this.extensions = 0;
    this.isFragment = false;
    this.fragmentOffset = 0;
    this.moreFragments = false;
    this.routed = false;
    // Nearly every packet has none: the walk is a function of its own, so that this one stays small.
    return this.protocol === IP_PROTOCOL.UDP || this.protocol === IP_PROTOCOL.TCP || this.#walk();
  }

  #walk(): boolean {
    const { bytes, payloadEnd } = this;
    let at = this.payloadStart;
    let protocol = this.protocol;
    let count = 0;
    while (isExtensionHeader(protocol) && this.fragmentOffset === 0) {
      if (at + 8 > payloadEnd || count === MAX_EXTENSIONS) return false;
      let length = ((bytes[at + 1] as number) + 1) * 8;
      if (protocol === IP_PROTOCOL.FRAGMENT) {
        length = 8;
        const word = u16At(bytes, at + 2);
        this.isFragment = true;
        this.fragmentOffset = word & 0xfff8;
        this.moreFragments = (word & 1) !== 0;
      } else if (protocol === IP_PROTOCOL.AUTH) {
        length = ((bytes[at + 1] as number) + 2) * 4;
      } else if (protocol === IP_PROTOCOL.ROUTING && bytes[at + 3] !== 0) {
        this.routed = true;
      }
      if (at + length > payloadEnd) return false;
      protocol = bytes[at] as number;
      at += length;
      count++;
    }
    this.protocol = protocol;
    this.payloadStart = at;
    this.extensions = count;
    return true;
  }

  /**
   * Whether a host would read on behind its extension headers: those of options whose every option ends within and may be
   * skipped, hop-by-hop ones first of all, and routing headers that have been followed.
   */
  get extensionsValid(): boolean {
    if (this.routed || this.isFragment) return false;
    const { bytes } = this;
    let protocol = this.nextHeader;
    let at = this.start + 40;
    for (let count = 0; count < this.extensions; count++) {
      const end = at + ((bytes[at + 1] as number) + 1) * 8;
      if (protocol === IP_PROTOCOL.HOP_BY_HOP ? count !== 0 : !isFollowed(protocol)) return false;
      if (protocol !== IP_PROTOCOL.ROUTING && !skipsOptions(bytes, at + 2, end)) return false;
      protocol = bytes[at] as number;
      at = end;
    }
    return true;
  }

  get trafficClass(): number {
    return (u16At(this.bytes, this.start) >> 4) & 255;
  }
  set trafficClass(value: number) {
    setU16(this.bytes, this.start, (u16At(this.bytes, this.start) & 0xf00f) | ((value & 255) << 4));
  }

  /** 20 bits. */
  get flowLabel(): number {
    return u32At(this.bytes, this.start) & 0xfffff;
  }
  set flowLabel(value: number) {
    setU32(this.bytes, this.start, (u32At(this.bytes, this.start) & 0xfff00000) | (value & 0xfffff));
  }

  /** The header's own field: extension headers and payload, in bytes. */
  get length(): number {
    return u16At(this.bytes, this.start + 4);
  }
  set length(value: number) {
    setU16(this.bytes, this.start + 4, value);
  }

  /** What follows the first 40 bytes. */
  get nextHeader(): number {
    return this.bytes[this.start + 6] as number;
  }
  set nextHeader(value: number) {
    this.bytes[this.start + 6] = value;
  }

  get hopLimit(): number {
    return this.bytes[this.start + 7] as number;
  }
  set hopLimit(value: number) {
    this.bytes[this.start + 7] = value;
  }

  /** Where the 16 bytes of the source are. */
  get srcAt(): number {
    return this.start + 8;
  }

  get dstAt(): number {
    return this.start + 24;
  }

  swapAddresses(): void {
    swapBytes(this.bytes, this.start + 8, this.start + 24, 16);
  }
}
