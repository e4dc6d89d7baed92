// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import { AF_INET, AF_INET6, addressBytes, addressText } from "../linux/index.js";
import { IFA, IFA_F_NODAD, NDA, NDTA, NDTPA, NUD_PERMANENT, RT_TABLE_MAIN, RTA, RTPROT_STATIC } from "./constants.js";
import { hardwareBytes } from "./link.js";
import { attribute, attributes, nested, type NetlinkMessage, type Part, readU32, text, u32 } from "./message.js";

/** An address with its prefix length, of an interface. */
export interface InterfaceAddress {
  readonly index: number;
  readonly address: string;
  readonly prefixLen: number;
  readonly family: 4 | 6;
}

/** A unicast route of the main table. */
export interface Route {
  /** `10.0.0.0/8`, or `default`. */
  readonly to: string;
  readonly family: 4 | 6;
  /** The next hop; undefined for networks on the link itself. */
  readonly via?: string;
  /** ifindex of the outgoing interface; 0 where the kernel shows none. */
  readonly index: number;
  readonly metric: number;
  /** Who made it: RTPROT_KERNEL is 2, RTPROT_STATIC is 4. */
  readonly protocol: number;
}

export interface RouteSpec {
  /** `10.0.0.0/8`, or `default`. */
  to: string;
  via?: string;
  /** ifindex; the kernel finds it by `via` when it is missing. */
  index?: number;
  /** Needed only for `default` without `via`. */
  family?: 4 | 6;
  metric?: number;
}

const familyNumber = (family: 4 | 6): number => (family === 4 ? AF_INET : AF_INET6);

/** The family and bytes of an address in text; throws XDPCTL_E_USAGE for what is none. */
export function parseAddress(address: string): { family: 4 | 6; bytes: Uint8Array } {
  const family = address.includes(":") ? 6 : 4;
  const bytes = addressBytes(address, family);
  if (bytes === undefined) throw new XdpctlError("XDPCTL_E_USAGE", `\`${address}\` is not an IP address`);
  return { family, bytes };
}

/** The parts of `192.0.2.1/24`; without a length, the whole address. Throws XDPCTL_E_USAGE. */
export function parsePrefix(prefix: string): { family: 4 | 6; bytes: Uint8Array; prefixLen: number; address: string } {
  const [address = "", length, ...rest] = prefix.split("/");
  const { family, bytes } = parseAddress(address);
  const max = family === 4 ? 32 : 128;
  const prefixLen = length === undefined ? max : /^\d{1,3}$/.test(length) ? Number(length) : -1;
  if (rest.length > 0 || prefixLen < 0 || prefixLen > max) {
    throw new XdpctlError("XDPCTL_E_USAGE", `\`${prefix}\` is not an address with a prefix length up to ${max}`);
  }
  return { family, bytes, prefixLen, address };
}

/** Body of RTM_NEWADDR and RTM_DELADDR. IPv6 addresses are usable at once (no duplicate address detection). */
export function addressBody(index: number, prefix: string): Part {
  const { family, bytes, prefixLen } = parsePrefix(prefix);
  const header = Buffer.alloc(8);
  header[0] = familyNumber(family);
  header[1] = prefixLen;
  header.writeUInt32LE(index, 4);
  const parts: Part[] = [header, attribute(IFA.LOCAL, bytes), attribute(IFA.ADDRESS, bytes)];
  if (family === 6) parts.push(u32(IFA.FLAGS, IFA_F_NODAD));
  return parts;
}

export function decodeAddress(message: NetlinkMessage): InterfaceAddress | undefined {
  const { data } = message;
  if (data.length < 8) return undefined;
  const found = attributes(data.subarray(8));
  const bytes = found.get(IFA.LOCAL) ?? found.get(IFA.ADDRESS);
  const family = data[0] === AF_INET ? 4 : data[0] === AF_INET6 ? 6 : undefined;
  if (bytes === undefined || family === undefined) return undefined;
  return { index: data.readUInt32LE(4), address: addressText(bytes), prefixLen: data[1] ?? 0, family };
}

/** Body of RTM_NEWROUTE and RTM_DELROUTE. */
export function routeBody(route: RouteSpec): Part {
  const to = route.to === "default" ? undefined : parsePrefix(route.to);
  const via = route.via === undefined ? undefined : parseAddress(route.via);
  const family = to?.family ?? via?.family ?? route.family ?? 4;
  if (via !== undefined && via.family !== family) {
    throw new XdpctlError("XDPCTL_E_USAGE", `the route to ${route.to} can't go via ${route.via}: another family`);
  }
  const header = Buffer.alloc(12);
  header[0] = familyNumber(family);
  header[1] = to?.prefixLen ?? 0;
  header[4] = RT_TABLE_MAIN;
  header[5] = RTPROT_STATIC;
  // RT_SCOPE_LINK for networks on the link, RT_SCOPE_UNIVERSE behind a gateway.
  header[6] = via === undefined && family === 4 ? 253 : 0;
  header[7] = 1; // RTN_UNICAST
  const parts: Part[] = [header];
  if (to !== undefined) parts.push(attribute(RTA.DST, to.bytes));
  if (via !== undefined) parts.push(attribute(RTA.GATEWAY, via.bytes));
  if (route.index !== undefined) parts.push(u32(RTA.OIF, route.index));
  if (route.metric !== undefined) parts.push(u32(RTA.PRIORITY, route.metric));
  return parts;
}

export function decodeRoute(message: NetlinkMessage): Route | undefined {
  const { data } = message;
  const family = data[0] === AF_INET ? 4 : data[0] === AF_INET6 ? 6 : undefined;
  if (data.length < 12 || family === undefined || data[7] !== 1) return undefined;
  const found = attributes(data.subarray(12));
  if ((readU32(found.get(RTA.TABLE)) || data[4]) !== RT_TABLE_MAIN) return undefined;
  const destination = found.get(RTA.DST);
  const gateway = found.get(RTA.GATEWAY);
  return {
    to: destination === undefined ? "default" : `${addressText(destination)}/${data[1]}`,
    family,
    ...(gateway === undefined ? {} : { via: addressText(gateway) }),
    index: readU32(found.get(RTA.OIF)),
    metric: readU32(found.get(RTA.PRIORITY)),
    protocol: data[5] ?? 0,
  };
}

/** An entry of the neighbour table. */
export interface Neighbour {
  readonly index: number;
  readonly address: string;
  /** The hardware address; empty while it is being resolved. */
  readonly hardware: string;
  /** NUD_*: 2 reachable, 4 stale, 0x80 permanent. */
  readonly state: number;
}

/** Body of RTM_NEWNEIGH (permanent) and RTM_DELNEIGH. */
/** Body of RTM_SETNEIGHTBL: how long ARP, or neighbour discovery, waits on an interface before it asks again. */
export function retransmitBody(index: number, family: 4 | 6, milliseconds: number): Part {
  const header = Uint8Array.of(familyNumber(family), 0, 0, 0);
  const time = Buffer.alloc(8);
  time.writeBigUInt64LE(BigInt(milliseconds));
  return [
    header,
    text(NDTA.NAME, family === 4 ? "arp_cache" : "ndisc_cache"),
    nested(NDTA.PARMS, u32(NDTPA.IFINDEX, index), attribute(NDTPA.RETRANS_TIME, time)),
  ];
}

export function neighbourBody(index: number, address: string, hardware?: string): Part {
  const { family, bytes } = parseAddress(address);
  const header = Buffer.alloc(12);
  header[0] = familyNumber(family);
  header.writeInt32LE(index, 4);
  header.writeUInt16LE(NUD_PERMANENT, 8);
  const parts: Part[] = [header, attribute(NDA.DST, bytes)];
  if (hardware !== undefined) {
    const mac = hardwareBytes(hardware);
    if (mac === undefined) throw new XdpctlError("XDPCTL_E_USAGE", `\`${hardware}\` is not a hardware address`);
    parts.push(attribute(NDA.LLADDR, mac));
  }
  return parts;
}

export function decodeNeighbour(message: NetlinkMessage): Neighbour | undefined {
  const { data } = message;
  if (data.length < 12 || (data[0] !== AF_INET && data[0] !== AF_INET6)) return undefined;
  const found = attributes(data.subarray(12));
  const address = found.get(NDA.DST);
  if (address === undefined) return undefined;
  const mac = found.get(NDA.LLADDR);
  return {
    index: data.readInt32LE(4),
    address: addressText(address),
    hardware: mac === undefined ? "" : [...mac].map((byte) => byte.toString(16).padStart(2, "0")).join(":"),
    state: data.readUInt16LE(8),
  };
}
