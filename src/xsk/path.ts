// SPDX-License-Identifier: MIT
import { createSocket } from "node:dgram";
import { XdpctlError } from "../errors/index.js";
import { type InterfaceAddress, type Neighbour, openRoute, type RouteSocket } from "../netlink/index.js";
import {
  type Address,
  contains,
  formatAddress,
  formatMac,
  parseAddress,
  parseCidr,
  parseMac,
} from "../packet/index.js";
import { findInterface } from "./interface.js";

/** How frames get from an interface to an address: what a frame's headers are made of. */
export interface Path {
  readonly srcMac: string;
  /** Of the next hop. */
  readonly dstMac: string;
  readonly src: string;
  readonly dst: string;
}

export interface PathOptions {
  /** The next hop's MAC; asked from the kernel by default. */
  mac?: string;
}

const PATIENCE_MS = 1000;
const LOOK_MS = 5;
/** NUD_INCOMPLETE, NUD_FAILED */
const UNRESOLVED = 0x01 | 0x20;
const DISCARD = 9;

/**
 * The way from an interface of this namespace to an address: on its network, or over a router. The next hop's MAC is that of
 * the kernel's neighbour table; where it has none, the kernel is made to ask for it by a datagram to port 9 (discard).
 *
 * Errors: XDPCTL_E_NO_INTERFACE, XDPCTL_E_USAGE, XDPCTL_E_NO_PATH without an address or route, or when nobody answers
 * within a second.
 */
export async function findPath(name: string, to: string, options: PathOptions = {}): Promise<Path> {
  const target = parseAddress(to);
  const dst = formatAddress(target.bytes);
  const link = findInterface(name);
  const route = openRoute();
  try {
    const own = route.addresses().filter(({ index, family }) => index === link.index && family === target.family);
    const near = own.find((address) => holds(address, target));
    const hop = near === undefined ? routerOf(route, link.index, target) : dst;
    const src = near ?? own.find(({ address }) => !address.startsWith("fe80:")) ?? own[0];
    if (src === undefined) throw noPath(`${name} has no IPv${target.family} address to send from`, name);
    if (own.some(({ address }) => address === dst)) throw noPath(`${dst} is ${name}'s own address`, name);
    const ends = { srcMac: link.address, src: src.address, dst };
    if (options.mac !== undefined) {
      const mac = parseMac(options.mac);
      if (mac === undefined) throw new XdpctlError("XDPCTL_E_USAGE", `\`${options.mac}\` is not a MAC address`);
      return { ...ends, dstMac: formatMac(mac) };
    }
    if (hop === undefined) throw noPath(`there is no route from ${name} to ${dst}`, name);
    return { ...ends, dstMac: await resolve(route, link.index, name, hop) };
  } finally {
    route.close();
  }
}

const holds = (own: InterfaceAddress, target: Address): boolean =>
  contains(parseCidr(`${own.address}/${own.prefixLen}`), target.bytes);

/** The router of the most specific route over this interface. */
function routerOf(route: RouteSocket, index: number, target: Address): string | undefined {
  let best = -1;
  let via: string | undefined;
  for (const one of route.routes()) {
    if (one.index !== index || one.family !== target.family) continue;
    const prefix = one.to === "default" ? undefined : parseCidr(one.to);
    const length = prefix?.prefixLen ?? 0;
    if (length <= best || (prefix !== undefined && !contains(prefix, target.bytes))) continue;
    best = length;
    via = one.via ?? formatAddress(target.bytes);
  }
  return via;
}

async function resolve(route: RouteSocket, index: number, name: string, hop: string): Promise<string> {
  const known = (): Neighbour | undefined =>
    route
      .neighbours()
      .find(
        (one) => one.index === index && one.address === hop && one.hardware !== "" && (one.state & UNRESOLVED) === 0,
      );
  const deadline = performance.now() + PATIENCE_MS;
  let asked = false;
  for (;;) {
    const found = known();
    if (found !== undefined) return found.hardware;
    if (!asked) await ask(hop, name);
    asked = true;
    if (performance.now() > deadline)
      throw new XdpctlError("XDPCTL_E_NO_PATH", `nobody on ${name} answers for ${hop}`, {
        remedy: "is it up? `--mac` names its MAC address where it doesn't answer ARP or neighbour discovery",
      });
    await new Promise((done) => setTimeout(done, LOOK_MS));
  }
}

/** One datagram: the kernel has to find the neighbour for it. */
async function ask(hop: string, name: string): Promise<void> {
  const v6 = hop.includes(":");
  const socket = createSocket(v6 ? "udp6" : "udp4");
  const to = hop.startsWith("fe80:") ? `${hop}%${name}` : hop;
  await new Promise<void>((done) => {
    // What the send met shows in the neighbour table.
    socket.on("error", () => done());
    socket.send(new Uint8Array(1), DISCARD, to, () => done());
  });
  socket.close();
}

function noPath(message: string, name: string): XdpctlError {
  return new XdpctlError("XDPCTL_E_NO_PATH", message, {
    remedy: `\`ip addr show dev ${name}\` and \`ip route\` show more`,
  });
}
