// SPDX-License-Identifier: MIT
import { ETHERTYPE, type FrameView, IP_PROTOCOL, parseCidr } from "../packet/index.js";

/** What `on("packet", …)` asks for: all that is named must be true. It is also how control asks the program for frames. */
export interface PacketFilter {
  /** Every interface with a guard where it is not named. */
  readonly interface?: string;
  readonly protocol?: FilterProtocol | number;
  /** Destination port. */
  readonly port?: number;
  readonly sourcePort?: number;
  /** Addresses or blocks. */
  readonly from?: string;
  readonly to?: string;
  /** What becomes of a packet whose hook fails. */
  readonly onError: "pass" | "drop";
}

export const FILTER_PROTOCOLS = ["tcp", "udp", "icmp", "icmpv6", "arp"] as const;
export type FilterProtocol = (typeof FILTER_PROTOCOLS)[number];

const NUMBERS = {
  tcp: IP_PROTOCOL.TCP,
  udp: IP_PROTOCOL.UDP,
  icmp: IP_PROTOCOL.ICMP,
  icmpv6: IP_PROTOCOL.ICMPV6,
  arp: -1,
} as const;

interface Prefix {
  readonly family: number;
  readonly bytes: Uint8Array;
  readonly bits: number;
}

function prefix(text: string | undefined): Prefix | undefined {
  if (text === undefined) return undefined;
  const { family, bytes, prefixLen } = parseCidr(text);
  return { family, bytes, bits: prefixLen };
}

function within(bytes: Uint8Array, at: number, { bytes: wanted, bits }: Prefix): boolean {
  const whole = bits >>> 3;
  for (let i = 0; i < whole; i++) if (bytes[at + i] !== wanted[i]) return false;
  const rest = bits & 7;
  return rest === 0 || (((bytes[at + whole] as number) ^ (wanted[whole] as number)) & (0xff00 >> rest) & 0xff) === 0;
}

/** Whether a frame is one that a hook asked for: the program redirects what any hook did. Nothing is allocated. */
export class PacketMatch {
  readonly onError: "pass" | "drop";
  readonly #protocol: number;
  readonly #port: number;
  readonly #sourcePort: number;
  readonly #from: Prefix | undefined;
  readonly #to: Prefix | undefined;

  constructor(filter: PacketFilter) {
    const { protocol } = filter;
    this.onError = filter.onError;
    this.#protocol = protocol === undefined ? 0 : typeof protocol === "number" ? protocol : NUMBERS[protocol];
    this.#port = filter.port ?? 0;
    this.#sourcePort = filter.sourcePort ?? 0;
    this.#from = prefix(filter.from);
    this.#to = prefix(filter.to);
  }

  matches(frame: FrameView): boolean {
    const v4 = frame.network === ETHERTYPE.IPV4;
    const ip = v4 ? frame.ipv4 : frame.network === ETHERTYPE.IPV6 ? frame.ipv6 : undefined;
    if (this.#protocol === -1) {
      if (frame.ethernet.etherType !== ETHERTYPE.ARP) return false;
    } else if (this.#protocol !== 0 && ip?.protocol !== this.#protocol) return false;
    if (this.#port !== 0 || this.#sourcePort !== 0) {
      const ports =
        frame.header === IP_PROTOCOL.TCP ? frame.tcp : frame.header === IP_PROTOCOL.UDP ? frame.udp : undefined;
      if (ports === undefined) return false;
      if (this.#port !== 0 && ports.dport !== this.#port) return false;
      if (this.#sourcePort !== 0 && ports.sport !== this.#sourcePort) return false;
    }
    return this.#address(frame, v4, this.#from, 0) && this.#address(frame, v4, this.#to, 1);
  }

  /** `side`: 0 for the source, 1 for the destination. */
  #address(frame: FrameView, v4: boolean, wanted: Prefix | undefined, side: number): boolean {
    if (wanted === undefined) return true;
    if (v4) return wanted.family === 4 && within(frame.ipv4.bytes, frame.ipv4.start + 12 + 4 * side, wanted);
    if (frame.network !== ETHERTYPE.IPV6 || wanted.family !== 6) return false;
    return within(frame.ipv6.bytes, frame.ipv6.start + 8 + 16 * side, wanted);
  }
}
