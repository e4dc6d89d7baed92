// SPDX-License-Identifier: MIT
import { holds, View } from "./view.js";
import { setU16, setU32, u16At, u32At } from "./wire.js";

/** An ICMP (RFC 792) or ICMPv6 (RFC 4443) message: 8 bytes, of which the last four depend on the type. */
export class IcmpView extends View {
  at(bytes: Uint8Array, start: number, end: number): boolean {
    if (!holds(bytes, start, end, 8)) return false;
    this.bytes = bytes;
    this.start = start;
    this.end = end;
    this.payloadStart = start + 8;
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
  set code(value: number) {
    this.bytes[this.start + 1] = value;
  }

  get checksum(): number {
    return u16At(this.bytes, this.start + 2);
  }
  set checksum(value: number) {
    setU16(this.bytes, this.start + 2, value);
  }

  /** Bytes 4 to 7 as one number. */
  get rest(): number {
    return u32At(this.bytes, this.start + 4);
  }
  set rest(value: number) {
    setU32(this.bytes, this.start + 4, value);
  }

  /** Of an echo. */
  get id(): number {
    return u16At(this.bytes, this.start + 4);
  }
  set id(value: number) {
    setU16(this.bytes, this.start + 4, value);
  }

  get sequence(): number {
    return u16At(this.bytes, this.start + 6);
  }
  set sequence(value: number) {
    setU16(this.bytes, this.start + 6, value);
  }
}
