// SPDX-License-Identifier: MIT
import { checksumOf, checksumOf20, replaceU16 } from "./checksum.js";
import { holds, View } from "./view.js";
import { setU16, setU32, swapBytes, u16At, u32At } from "./wire.js";

const OPTION = { END: 0, NOP: 1, LOOSE_ROUTE: 131, STRICT_ROUTE: 137 } as const;

/** An IPv4 header (RFC 791). `at` checks version and lengths; the checksum is checked on request. */
export class IPv4View extends View {
  at(bytes: Uint8Array, start: number, end: number): boolean {
    if (!holds(bytes, start, end, 20)) return false;
    const first = bytes[start] as number;
    const header = (first & 15) * 4;
    const total = u16At(bytes, start + 2);
    if (first >> 4 !== 4 || header < 20 || total < header || total > end - start) return false;
    this.bytes = bytes;
    this.start = start;
    this.end = end;
    this.payloadStart = start + header;
    this.payloadEnd = start + total;
    return true;
  }

  /** Bytes, 20 to 60; options lie between the 20th byte and `payloadStart`. */
  get headerLength(): number {
    return this.payloadStart - this.start;
  }

  get hasOptions(): boolean {
    return this.payloadStart - this.start > 20;
  }

  /** Whether a host would take its options: each ends within the header, and none is a source route. */
  get optionsValid(): boolean {
    const { bytes, payloadStart } = this;
    for (let at = this.start + 20; at < payloadStart; ) {
      const kind = bytes[at] as number;
      if (kind === OPTION.END) return true;
      if (kind === OPTION.NOP) {
        at++;
        continue;
      }
      if (kind === OPTION.LOOSE_ROUTE || kind === OPTION.STRICT_ROUTE || at + 1 === payloadStart) return false;
      const length = bytes[at + 1] as number;
      if (length < 2 || at + length > payloadStart) return false;
      at += length;
    }
    return true;
  }

  get tos(): number {
    return this.bytes[this.start + 1] as number;
  }
  set tos(value: number) {
    this.bytes[this.start + 1] = value;
  }

  get totalLength(): number {
    return u16At(this.bytes, this.start + 2);
  }
  set totalLength(value: number) {
    setU16(this.bytes, this.start + 2, value);
  }

  get id(): number {
    return u16At(this.bytes, this.start + 4);
  }
  set id(value: number) {
    setU16(this.bytes, this.start + 4, value);
  }

  /** Flags (3 bits) and fragment offset (13, in units of 8 bytes), as they are on the wire. */
  get fragmentWord(): number {
    return u16At(this.bytes, this.start + 6);
  }
  set fragmentWord(value: number) {
    setU16(this.bytes, this.start + 6, value);
  }

  get dontFragment(): boolean {
    return (this.fragmentWord & 0x4000) !== 0;
  }

  get moreFragments(): boolean {
    return (this.fragmentWord & 0x2000) !== 0;
  }

  /** Bytes, a multiple of 8. */
  get fragmentOffset(): number {
    return (this.fragmentWord & 0x1fff) * 8;
  }

  /** Whether it is a part of a packet, the first one included. */
  get isFragment(): boolean {
    return (this.fragmentWord & 0x3fff) !== 0;
  }

  get ttl(): number {
    return this.bytes[this.start + 8] as number;
  }
  set ttl(value: number) {
    this.bytes[this.start + 8] = value;
  }

  get protocol(): number {
    return this.bytes[this.start + 9] as number;
  }
  set protocol(value: number) {
    this.bytes[this.start + 9] = value;
  }

  get checksum(): number {
    return u16At(this.bytes, this.start + 10);
  }
  set checksum(value: number) {
    setU16(this.bytes, this.start + 10, value);
  }

  /** Host order. */
  get src(): number {
    return u32At(this.bytes, this.start + 12);
  }
  set src(value: number) {
    setU32(this.bytes, this.start + 12, value);
  }

  get dst(): number {
    return u32At(this.bytes, this.start + 16);
  }
  set dst(value: number) {
    setU32(this.bytes, this.start + 16, value);
  }

  /** Checksums stay right: the same words are summed. */
  swapAddresses(): void {
    swapBytes(this.bytes, this.start + 12, this.start + 16, 4);
  }

  get checksumValid(): boolean {
    return this.#checksum() === 0;
  }

  #checksum(): number {
    if (this.payloadStart - this.start === 20) return checksumOf20(this.bytes, this.start);
    return checksumOf(this.bytes, this.start, this.payloadStart);
  }

  fillChecksum(): void {
    this.checksum = 0;
    this.checksum = this.#checksum();
  }

  /** Sets the TTL, and the checksum with it. */
  replaceTtl(value: number): void {
    replaceU16(this.bytes, this.start + 8, (value << 8) | this.protocol, this.start + 10);
  }

  /** Sets the total length, and the checksum with it. */
  replaceTotalLength(value: number): void {
    replaceU16(this.bytes, this.start + 2, value, this.start + 10);
  }
}
