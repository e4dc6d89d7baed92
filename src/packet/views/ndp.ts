// SPDX-License-Identifier: MIT
import { ICMPV6_TYPE } from "../icmp.js";
import { holds, View } from "./view.js";
import { setU16, setU32, u16At, u32At } from "./wire.js";

/** Options of neighbour discovery (RFC 4861 §4.6): a link-layer address each, 8 bytes over Ethernet. */
export const NDP_OPTION = { SOURCE_LINK_LAYER: 1, TARGET_LINK_LAYER: 2 } as const;

/** Bits of an advertisement's fifth byte. */
export const NDP_FLAG = { ROUTER: 0x80, SOLICITED: 0x40, OVERRIDE: 0x20 } as const;

/**
 * A neighbour solicitation or advertisement (RFC 4861 §4.3, §4.4): 24 bytes and options, which are the payload. `at` is
 * false for other messages, and when an option has no length or reaches beyond the end.
 */
export class NdpView extends View {
  at(bytes: Uint8Array, start: number, end: number): boolean {
    if (!holds(bytes, start, end, 24)) return false;
    const type = bytes[start] as number;
    if (type !== ICMPV6_TYPE.NEIGHBOR_SOLICITATION && type !== ICMPV6_TYPE.NEIGHBOR_ADVERTISEMENT) return false;
    for (let at = start + 24; at < end; ) {
      if (at + 2 > end) return false;
      const length = (bytes[at + 1] as number) * 8;
      if (length === 0 || at + length > end) return false;
      at += length;
    }
    this.bytes = bytes;
    this.start = start;
    this.end = end;
    this.payloadStart = start + 24;
    this.payloadEnd = end;
    return true;
  }

  get type(): number {
    return this.bytes[this.start] as number;
  }
  set type(value: number) {
    this.bytes[this.start] = value;
  }

  get code(): number {
    return this.bytes[this.start + 1] as number;
  }

  get checksum(): number {
    return u16At(this.bytes, this.start + 2);
  }
  set checksum(value: number) {
    setU16(this.bytes, this.start + 2, value);
  }

  /** Bits of NDP_FLAG; the other bits of the four bytes become zero when set. */
  get flags(): number {
    return u32At(this.bytes, this.start + 4) >>> 24;
  }
  set flags(value: number) {
    setU32(this.bytes, this.start + 4, value << 24);
  }

  /** Where the 16 bytes of the target are. */
  get targetAt(): number {
    return this.start + 8;
  }

  /** Where the first option of a type begins; -1 when there is none. */
  optionAt(type: number): number {
    for (let at = this.payloadStart; at < this.payloadEnd; at += (this.bytes[at + 1] as number) * 8)
      if (this.bytes[at] === type) return at;
    return -1;
  }
}
