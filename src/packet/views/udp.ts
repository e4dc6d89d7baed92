// SPDX-License-Identifier: MIT
import { holds, View } from "./view.js";
import { setU16, swapBytes, u16At } from "./wire.js";

/** A UDP header (RFC 768). */
export class UdpView extends View {
  at(bytes: Uint8Array, start: number, end: number): boolean {
    if (!holds(bytes, start, end, 8)) return false;
    const length = u16At(bytes, start + 4);
    if (length < 8 || length > end - start) return false;
    this.bytes = bytes;
    this.start = start;
    this.end = end;
    this.payloadStart = start + 8;
    this.payloadEnd = start + length;
    return true;
  }

  /** The same for the first fragment of a datagram: the payload ends with what is there of it. */
  atFirst(bytes: Uint8Array, start: number, end: number): boolean {
    if (!holds(bytes, start, end, 8)) return false;
    const length = u16At(bytes, start + 4);
    if (length < 8) return false;
    this.bytes = bytes;
    this.start = start;
    this.end = end;
    this.payloadStart = start + 8;
    this.payloadEnd = Math.min(start + length, end);
    return true;
  }

  get sport(): number {
    return u16At(this.bytes, this.start);
  }
  set sport(value: number) {
    setU16(this.bytes, this.start, value);
  }

  get dport(): number {
    return u16At(this.bytes, this.start + 2);
  }
  set dport(value: number) {
    setU16(this.bytes, this.start + 2, value);
  }

  /** Header and payload, in bytes. */
  get length(): number {
    return u16At(this.bytes, this.start + 4);
  }
  set length(value: number) {
    setU16(this.bytes, this.start + 4, value);
  }

  /** 0: none was made, which IPv4 allows. */
  get checksum(): number {
    return u16At(this.bytes, this.start + 6);
  }
  set checksum(value: number) {
    setU16(this.bytes, this.start + 6, value);
  }

  swapPorts(): void {
    swapBytes(this.bytes, this.start, this.start + 2, 2);
  }
}
