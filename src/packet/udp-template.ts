// SPDX-License-Identifier: MIT
import { macOf } from "./bytes.js";
import { parseAddress } from "./address.js";
import { buildEthernet } from "./ethernet.js";
import { buildIPv4Packet } from "./ipv4.js";
import { buildIPv6Packet } from "./ipv6.js";
import { ETHERTYPE, IP_PROTOCOL } from "./protocol.js";
import { buildUdp } from "./udp.js";
import { finishSum, sumBytes, udpChecksum } from "./views/checksum.js";
import { setU16, setU32, u16At } from "./views/wire.js";

/** The fifth byte of a payload that measures, after its number (32 bits, network order). */
export const PERF = { PING: 0, PONG: 1, SYN: 99, ACK: 100 } as const;
/** Bytes of number and operation: the least payload. */
export const PERF_BYTES = 5;
/** What follows where a run has a token: `xdpr`, and the token (32 bits, network order). */
export const RUN_MARK = 0x78647072;
export const RUN_BYTES = PERF_BYTES + 8;

export interface UdpEnds {
  /** Of this interface and of the next hop: text or 6 bytes. */
  readonly srcMac: string | Uint8Array;
  readonly dstMac: string | Uint8Array;
  /** Two addresses of one family, as text. */
  readonly src: string;
  readonly dst: string;
  readonly sport: number;
  readonly dport: number;
}

/**
 * A UDP frame that is sent again and again, each with a number and an operation at the beginning of its payload; the rest
 * of it is zero. Numbers are written in place, and the checksum follows them: nothing is allocated.
 */
export class UdpTemplate {
  /** The frame with the number 0 and the operation PING. */
  readonly bytes: Uint8Array;
  /** Where the payload begins. */
  readonly payloadAt: number;
  /** The sum of all that the checksum covers but the number and the operation. */
  readonly #sum: number;

  /**
   * `size`: bytes of the frame without its check sequence; a smaller one is made as large as headers and number need.
   * `token`: 32 bits that all frames of a run carry after the operation, by which `readRun` knows them.
   * @throws XDPCTL_E_USAGE for what is no MAC or address, or a frame too large for IP.
   */
  constructor(ends: UdpEnds, size: number, token?: number) {
    const [src, dst] = [parseAddress(ends.src), parseAddress(ends.dst)];
    const v4 = src.family === 4;
    this.payloadAt = 14 + (v4 ? 20 : 40) + 8;
    const least = token === undefined ? PERF_BYTES : RUN_BYTES;
    const payload = new Uint8Array(Math.max(least, size - this.payloadAt));
    if (token !== undefined) {
      setU32(payload, PERF_BYTES, RUN_MARK);
      setU32(payload, PERF_BYTES + 4, token);
    }
    const udp = buildUdp(ends, { src: src.bytes, dst: dst.bytes }, payload);
    const ip = v4
      ? buildIPv4Packet({ src: src.bytes, dst: dst.bytes, protocol: IP_PROTOCOL.UDP, dontFragment: true }, udp)
      : buildIPv6Packet({ src: src.bytes, dst: dst.bytes, protocol: IP_PROTOCOL.UDP }, udp);
    const etherType = v4 ? ETHERTYPE.IPV4 : ETHERTYPE.IPV6;
    this.bytes = buildEthernet({ src: macOf(ends.srcMac), dst: macOf(ends.dstMac), etherType }, ip);
    // Number and operation are zero: the inverse of the checksum is the sum of the rest.
    this.#sum = ~u16At(this.bytes, this.payloadAt - 2) & 0xffff;
  }

  /** Bytes of the frame. */
  get length(): number {
    return this.bytes.length;
  }

  /** Writes the whole frame at `at`. */
  write(to: Uint8Array, at: number, number: number, operation: number): void {
    const { bytes } = this;
    const { length } = bytes;
    for (let i = 0; i < length; i++) to[at + i] = bytes[i] as number;
    this.number(to, at, number, operation);
  }

  /** Writes number, operation and checksum into a frame at `at` that `write` has made. */
  number(to: Uint8Array, at: number, number: number, operation: number): void {
    const payload = at + this.payloadAt;
    setU32(to, payload, number);
    to[payload + 4] = operation;
    setU16(to, payload - 2, udpChecksum(finishSum(sumBytes(to, payload, payload + PERF_BYTES, this.#sum))));
  }
}
