// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import { type Cidr, ETHERTYPE, IP_PROTOCOL, mapped, parseCidr } from "../packet/index.js";

/** Rules that a program holds: MAX_RULES of bpf/xsk.bpf.c. */
export const MOST_RULES = 16;

const PROTOCOLS = {
  arp: 0,
  icmp: IP_PROTOCOL.ICMP,
  icmpv6: IP_PROTOCOL.ICMPV6,
  tcp: IP_PROTOCOL.TCP,
  udp: IP_PROTOCOL.UDP,
};

/**
 * Which frames a socket takes: those for which all that the rule names is true. Fragments after the first have no ports, and
 * malformed frames match no rule; both go to the network stack.
 */
export interface RedirectRule {
  /** `tcp`, `udp`, `icmp`, `icmpv6`, `arp`, or the number of an IP protocol. */
  protocol?: keyof typeof PROTOCOLS | number;
  /** Destination port of TCP or UDP. */
  port?: number;
  /** Source port of TCP or UDP. */
  sourcePort?: number;
  /** Destination addresses: `10.0.0.0/8`, `2001:db8::/32`, or one address. */
  to?: string;
  /** Source addresses. */
  from?: string;
}

/** sizeof(struct redirect_rule) */
const SIZE = 72;
const AT = { from: 0, to: 32, sport: 64, dport: 66, ethProto: 68, proto: 70 } as const;

/** The bytes of a rule as the program reads them. Throws XDPCTL_E_USAGE. */
export function encodeRule(rule: RedirectRule): Buffer {
  checkRule(rule);
  const bytes = Buffer.alloc(SIZE);
  const families = new Set<number>();
  for (const side of ["from", "to"] as const) {
    const text = rule[side];
    if (text === undefined) continue;
    const cidr = parseCidr(text);
    families.add(cidr.family);
    writePrefix(bytes, AT[side], cidr);
  }
  if (families.size > 1) throw new XdpctlError("XDPCTL_E_USAGE", "a rule from IPv4 to IPv6 addresses matches nothing");
  bytes.writeUInt16BE(port(rule.sourcePort), AT.sport);
  bytes.writeUInt16BE(port(rule.port), AT.dport);
  const { protocol } = rule;
  if (protocol === "arp") bytes.writeUInt16BE(ETHERTYPE.ARP, AT.ethProto);
  else if (protocol !== undefined) {
    const number = typeof protocol === "number" ? protocol : PROTOCOLS[protocol];
    if (!Number.isInteger(number) || number < 1 || number > 253)
      throw new XdpctlError("XDPCTL_E_USAGE", `${protocol} is no IP protocol: ${Object.keys(PROTOCOLS).join(", ")}`);
    bytes.writeUInt8(number, AT.proto);
  }
  return bytes;
}

const NAMES: ReadonlySet<string> = new Set(["protocol", "port", "sourcePort", "to", "from"]);

/** A rule that names nothing we know would take every frame. */
function checkRule(rule: unknown): void {
  const known = [...NAMES].join(", ");
  if (rule === null || typeof rule !== "object" || Array.isArray(rule))
    throw new XdpctlError("XDPCTL_E_USAGE", `${JSON.stringify(rule)} is no rule: an object with ${known}`);
  for (const name of Object.keys(rule))
    if (!NAMES.has(name)) throw new XdpctlError("XDPCTL_E_USAGE", `a rule has no ${name}: ${known}`);
}

function port(value: number | undefined): number {
  if (value === undefined) return 0;
  if (Number.isInteger(value) && value >= 1 && value <= 65_535) return value;
  throw new XdpctlError("XDPCTL_E_USAGE", `${value} is no port: 1 to 65535`);
}

/** Address and mask, 16 bytes each. The mask of an IPv4 block covers the mapped prefix, so that it matches IPv4 alone. */
function writePrefix(bytes: Buffer, at: number, cidr: Cidr): void {
  bytes.set(cidr.family === 4 ? mapped(cidr.bytes) : cidr.bytes, at);
  const bits = cidr.family === 4 ? 96 + cidr.prefixLen : cidr.prefixLen;
  for (let i = 0; i < 16; i++) bytes[at + 16 + i] = (0xff00 >> Math.min(Math.max(bits - 8 * i, 0), 8)) & 0xff;
}
