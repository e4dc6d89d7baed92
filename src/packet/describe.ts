// SPDX-License-Identifier: MIT
import { formatAddress } from "./address.js";
import { ARP_OPERATION, parseArp } from "./arp.js";
import { parseEthernet } from "./ethernet.js";
import { ICMP_TYPE, ICMPV6_TYPE, parseIcmp } from "./icmp.js";
import { parseIPv4Packet } from "./ipv4.js";
import { parseIPv6Packet } from "./ipv6.js";
import { formatMac } from "./mac.js";
import { ETHERTYPE, IP_PROTOCOL } from "./protocol.js";
import { parseTcp, TCP_FLAG } from "./tcp.js";
import { parseUdp } from "./udp.js";

const ICMP_NAMES: Record<number, string> = {
  [ICMP_TYPE.ECHO_REPLY]: "echo reply",
  [ICMP_TYPE.UNREACHABLE]: "unreachable",
  [ICMP_TYPE.ECHO]: "echo request",
  [ICMP_TYPE.TIME_EXCEEDED]: "time exceeded",
};
const ICMPV6_NAMES: Record<number, string> = {
  [ICMPV6_TYPE.UNREACHABLE]: "unreachable",
  [ICMPV6_TYPE.PACKET_TOO_BIG]: "packet too big",
  [ICMPV6_TYPE.TIME_EXCEEDED]: "time exceeded",
  [ICMPV6_TYPE.ECHO]: "echo request",
  [ICMPV6_TYPE.ECHO_REPLY]: "echo reply",
  [ICMPV6_TYPE.ROUTER_SOLICITATION]: "router solicitation",
  [ICMPV6_TYPE.ROUTER_ADVERTISEMENT]: "router advertisement",
  [ICMPV6_TYPE.NEIGHBOR_SOLICITATION]: "neighbor solicitation",
  [ICMPV6_TYPE.NEIGHBOR_ADVERTISEMENT]: "neighbor advertisement",
};
const PROTOCOL_NAMES = new Map<number, string>(Object.entries(IP_PROTOCOL).map(([name, number]) => [number, name]));

/** One line about a frame without its check sequence; of one that is cut short or unknown what can be told. */
export function describeFrame(bytes: Uint8Array): string {
  const frame = parseEthernet(bytes);
  if (frame === undefined) return `${bytes.length} bytes, cut short`;
  const tags = frame.vlans.map(({ id }) => `vlan ${id} `).join("");
  return `${tags}${payloadText(frame.etherType, frame.payload) ?? plainText(frame)}`;
}

function plainText(frame: { src: Uint8Array; dst: Uint8Array; etherType: number; payload: Uint8Array }): string {
  const type = frame.etherType < 0x600 ? "802.3" : `0x${frame.etherType.toString(16).padStart(4, "0")}`;
  return `${formatMac(frame.src)} → ${formatMac(frame.dst)}  ${type}, ${frame.payload.length} bytes`;
}

function payloadText(etherType: number, payload: Uint8Array): string | undefined {
  if (etherType === ETHERTYPE.ARP) return arpText(payload);
  if (etherType === ETHERTYPE.IPV4) {
    const packet = parseIPv4Packet(payload);
    if (packet === undefined) return undefined;
    const { src, dst, protocol, fragmentOffset } = packet;
    return transportText(src, dst, protocol, packet.payload, fragmentOffset, ICMP_NAMES);
  }
  if (etherType !== ETHERTYPE.IPV6) return undefined;
  const packet = parseIPv6Packet(payload);
  if (packet === undefined) return undefined;
  const { src, dst, protocol, fragmentOffset = 0 } = packet;
  return transportText(src, dst, protocol, packet.payload, fragmentOffset, ICMPV6_NAMES);
}

function arpText(bytes: Uint8Array): string | undefined {
  const arp = parseArp(bytes);
  if (arp === undefined) return undefined;
  const [sender, target] = [formatAddress(arp.sender), formatAddress(arp.target)];
  return arp.operation === ARP_OPERATION.REPLY
    ? `arp  ${sender} is at ${formatMac(arp.senderMac)}`
    : `arp  who has ${target}? tell ${sender}`;
}

function transportText(
  src: Uint8Array,
  dst: Uint8Array,
  protocol: number,
  payload: Uint8Array,
  offset: number,
  icmpNames: Record<number, string>,
): string {
  const [from, to] = [formatAddress(src), formatAddress(dst)];
  const plain = (what: string): string => `${from} → ${to}  ${what}`;
  const name = PROTOCOL_NAMES.get(protocol)?.toLowerCase() ?? `protocol ${protocol}`;
  if (offset > 0) return plain(`${name} fragment at ${offset}, ${payload.length} bytes`);
  if (protocol === IP_PROTOCOL.TCP || protocol === IP_PROTOCOL.UDP) {
    const ends = (sport: number, dport: number): string => `${port(from, sport)} → ${port(to, dport)}`;
    if (protocol === IP_PROTOCOL.TCP) {
      const tcp = parseTcp(payload);
      if (tcp === undefined) return plain("tcp, cut short");
      const flags = Object.entries(TCP_FLAG)
        .filter(([, bit]) => (tcp.flags & bit) !== 0)
        .map(([flag]) => flag);
      return `${ends(tcp.sport, tcp.dport)}  tcp ${flags.join(",") || "-"}, ${tcp.payload.length} bytes`;
    }
    const udp = parseUdp(payload);
    return udp === undefined
      ? plain("udp, cut short")
      : `${ends(udp.sport, udp.dport)}  udp, ${udp.payload.length} bytes`;
  }
  if (protocol === IP_PROTOCOL.ICMP || protocol === IP_PROTOCOL.ICMPV6) {
    const icmp = parseIcmp(payload);
    if (icmp === undefined) return plain(`${name}, cut short`);
    const what = icmpNames[icmp.type] ?? `type ${icmp.type}`;
    const echo = what.startsWith("echo") ? `, id ${icmp.id} seq ${icmp.sequence}` : "";
    return plain(`${name} ${what}${echo}, ${payload.length} bytes`);
  }
  return plain(`${name}, ${payload.length} bytes`);
}

const port = (address: string, number: number): string =>
  address.includes(":") ? `[${address}]:${number}` : `${address}:${number}`;
