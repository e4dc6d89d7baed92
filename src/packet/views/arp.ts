// SPDX-License-Identifier: MIT
import { ETHERTYPE } from "../protocol.js";
import { holds, View } from "./view.js";
import { setU16, setU32, u16At, u32At } from "./wire.js";

/** ARP for IPv4 over Ethernet (RFC 826), 28 bytes; `at` is false for any other kind. */
export class ArpView extends View {
  at(bytes: Uint8Array, start: number, end: number): boolean {
    if (!holds(bytes, start, end, 28)) return false;
    if (u32At(bytes, start) !== 0x10000 + ETHERTYPE.IPV4 || u16At(bytes, start + 4) !== 0x0604) return false;
    this.bytes = bytes;
    this.start = start;
    this.end = end;
    this.payloadStart = start + 28;
    this.payloadEnd = start + 28;
    return true;
  }

  /** 1 request, 2 reply. */
  get operation(): number {
    return u16At(this.bytes, this.start + 6);
  }
  set operation(value: number) {
    setU16(this.bytes, this.start + 6, value);
  }

  /** Where the sender's MAC address is. */
  get senderMacAt(): number {
    return this.start + 8;
  }

  /** IPv4 address, host order. */
  get sender(): number {
    return u32At(this.bytes, this.start + 14);
  }
  set sender(value: number) {
    setU32(this.bytes, this.start + 14, value);
  }

  get targetMacAt(): number {
    return this.start + 18;
  }

  get target(): number {
    return u32At(this.bytes, this.start + 24);
  }
  set target(value: number) {
    setU32(this.bytes, this.start + 24, value);
  }
}
