// SPDX-License-Identifier: MIT
import { ETHERTYPE } from "../protocol.js";
import { holds, View } from "./view.js";
import { setU16, swapBytes, u16At } from "./wire.js";

/** Tags that are read; of a third one the TPID is the `etherType`. */
const TAGS = 2;

/** An Ethernet header with up to two VLAN tags (IEEE 802.1Q, 802.1ad), numbered from the outermost, 0. */
export class EthernetView extends View {
  /** After the tags, host order; below 0x600 it is an 802.3 length. */
  etherType = 0;
  /** 0, 1 or 2. */
  tags = 0;

  at(bytes: Uint8Array, start: number, end: number): boolean {
    if (!holds(bytes, start, end, 14)) return false;
    let typeAt = start + 12;
    let etherType = u16At(bytes, typeAt);
    let tags = 0;
    while (tags < TAGS && (etherType === ETHERTYPE.VLAN || etherType === ETHERTYPE.QINQ)) {
      typeAt += 4;
      if (typeAt + 2 > end) return false;
      etherType = u16At(bytes, typeAt);
      tags++;
    }
    this.bytes = bytes;
    this.start = start;
    this.end = end;
    this.etherType = etherType;
    this.tags = tags;
    this.payloadStart = typeAt + 2;
    this.payloadEnd = end;
    return true;
  }

  /** Where the 6 bytes of the destination are. */
  get dstAt(): number {
    return this.start;
  }

  get srcAt(): number {
    return this.start + 6;
  }

  /** Whether the destination is a multicast or broadcast address. */
  get toGroup(): boolean {
    return ((this.bytes[this.start] as number) & 1) !== 0;
  }

  /** Whether the source is one, which no sender has. */
  get fromGroup(): boolean {
    return ((this.bytes[this.start + 6] as number) & 1) !== 0;
  }

  swapMacs(): void {
    swapBytes(this.bytes, this.start, this.start + 6, 6);
  }

  /** 0x8100 or 0x88a8; `tag` is below `tags`. */
  tpid(tag: number): number {
    return u16At(this.bytes, this.start + 12 + tag * 4);
  }

  /** Priority (3 bits), drop eligible (1) and id (12) of a tag. */
  tci(tag: number): number {
    return u16At(this.bytes, this.start + 14 + tag * 4);
  }

  setTci(tag: number, value: number): void {
    if (tag < this.tags) setU16(this.bytes, this.start + 14 + tag * 4, value);
  }

  vlanId(tag: number): number {
    return this.tci(tag) & 0xfff;
  }

  setVlanId(tag: number, id: number): void {
    this.setTci(tag, (this.tci(tag) & 0xf000) | (id & 0xfff));
  }

  vlanPriority(tag: number): number {
    return this.tci(tag) >> 13;
  }
}
