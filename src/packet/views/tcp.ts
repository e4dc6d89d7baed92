// SPDX-License-Identifier: MIT
import { TCP_FLAG } from "../tcp.js";
import { holds, View } from "./view.js";
import { setU16, setU32, swapBytes, u16At, u32At } from "./wire.js";

/** Kinds of TCP options (RFC 9293 §3.1 and IANA's table). */
export const TCP_OPTION = {
  END: 0,
  NOP: 1,
  MSS: 2,
  WINDOW_SCALE: 3,
  SACK_PERMITTED: 4,
  SACK: 5,
  TIMESTAMPS: 8,
} as const;

/** A TCP header (RFC 9293). */
export class TcpView extends View {
  at(bytes: Uint8Array, start: number, end: number): boolean {
    if (!holds(bytes, start, end, 20)) return false;
    const header = ((bytes[start + 12] as number) >> 4) * 4;
    if (header < 20 || header > end - start) return false;
    this.bytes = bytes;
    this.start = start;
    this.end = end;
    this.payloadStart = start + header;
    this.payloadEnd = end;
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

  swapPorts(): void {
    swapBytes(this.bytes, this.start, this.start + 2, 2);
  }

  get sequence(): number {
    return u32At(this.bytes, this.start + 4);
  }
  set sequence(value: number) {
    setU32(this.bytes, this.start + 4, value);
  }

  get acknowledgment(): number {
    return u32At(this.bytes, this.start + 8);
  }
  set acknowledgment(value: number) {
    setU32(this.bytes, this.start + 8, value);
  }

  /** Bytes, 20 to 60. */
  get headerLength(): number {
    return this.payloadStart - this.start;
  }

  /** Bits of TCP_FLAG. */
  get flags(): number {
    return this.bytes[this.start + 13] as number;
  }
  set flags(value: number) {
    this.bytes[this.start + 13] = value;
  }

  get window(): number {
    return u16At(this.bytes, this.start + 14);
  }
  set window(value: number) {
    setU16(this.bytes, this.start + 14, value);
  }

  get checksum(): number {
    return u16At(this.bytes, this.start + 16);
  }
  set checksum(value: number) {
    setU16(this.bytes, this.start + 16, value);
  }

  get urgent(): number {
    return u16At(this.bytes, this.start + 18);
  }
  set urgent(value: number) {
    setU16(this.bytes, this.start + 18, value);
  }

  /** What it takes of the sequence space: its payload, and one each for SYN and FIN. */
  get sequenceLength(): number {
    const { flags } = this;
    return this.payloadLength + ((flags & TCP_FLAG.SYN) !== 0 ? 1 : 0) + ((flags & TCP_FLAG.FIN) !== 0 ? 1 : 0);
  }

  /** Where the first option of a kind begins; -1 when there is none, or an option before it has a wrong length. */
  optionAt(kind: number): number {
    const { bytes, payloadStart } = this;
    for (let at = this.start + 20; at < payloadStart; ) {
      const found = bytes[at] as number;
      if (found === TCP_OPTION.END) return -1;
      if (found === TCP_OPTION.NOP) {
        if (kind === TCP_OPTION.NOP) return at;
        at++;
        continue;
      }
      if (at + 2 > payloadStart) return -1;
      const length = bytes[at + 1] as number;
      if (length < 2 || at + length > payloadStart) return -1;
      if (found === kind) return at;
      at += length;
    }
    return -1;
  }

  /** The maximum segment size that it offers; 0 when it has no such option. */
  get mss(): number {
    const at = this.optionAt(TCP_OPTION.MSS);
    return at < 0 || this.bytes[at + 1] !== 4 ? 0 : u16At(this.bytes, at + 2);
  }

  /** Writes the maximum segment size, when there is an option for it: the checksum doesn't follow. */
  setMss(value: number): boolean {
    const at = this.optionAt(TCP_OPTION.MSS);
    if (at < 0 || this.bytes[at + 1] !== 4) return false;
    setU16(this.bytes, at + 2, value);
    return true;
  }
}
