// SPDX-License-Identifier: MIT

/** EtherTypes (IEEE 802 numbers), host order. */
export const ETHERTYPE = {
  IPV4: 0x0800,
  ARP: 0x0806,
  VLAN: 0x8100,
  IPV6: 0x86dd,
  QINQ: 0x88a8,
} as const;

/** IP protocol and IPv6 extension-header numbers (IANA protocol numbers). */
export const IP_PROTOCOL = {
  HOP_BY_HOP: 0,
  ICMP: 1,
  TCP: 6,
  UDP: 17,
  ROUTING: 43,
  FRAGMENT: 44,
  ESP: 50,
  AUTH: 51,
  ICMPV6: 58,
  NO_NEXT: 59,
  DESTINATION: 60,
  SCTP: 132,
  MOBILITY: 135,
  HIP: 139,
  SHIM6: 140,
} as const;

const EXTENSIONS: ReadonlySet<number> = new Set([
  IP_PROTOCOL.HOP_BY_HOP,
  IP_PROTOCOL.ROUTING,
  IP_PROTOCOL.FRAGMENT,
  IP_PROTOCOL.AUTH,
  IP_PROTOCOL.DESTINATION,
  IP_PROTOCOL.MOBILITY,
  IP_PROTOCOL.HIP,
  IP_PROTOCOL.SHIM6,
]);

/** Whether a next-header number is an IPv6 extension header with a length that can be read (so not ESP). */
export function isExtensionHeader(number: number): boolean {
  return EXTENSIONS.has(number);
}
