// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import { errno } from "../linux/index.js";
import {
  addressBody,
  decodeAddress,
  decodeNeighbour,
  decodeRoute,
  type InterfaceAddress,
  type Neighbour,
  neighbourBody,
  retransmitBody,
  type Route,
  type RouteSpec,
  routeBody,
} from "./address.js";
import {
  IFLA,
  NETLINK_ROUTE,
  NLM_F_CREATE,
  NLM_F_EXCL,
  NLM_F_REPLACE,
  RTEXT_FILTER_SKIP_STATS,
  RTM_DELADDR,
  RTM_DELLINK,
  RTM_DELNEIGH,
  RTM_DELROUTE,
  RTM_GETADDR,
  RTM_GETLINK,
  RTM_GETNEIGH,
  RTM_GETQDISC,
  RTM_GETROUTE,
  RTM_NEWADDR,
  RTM_NEWLINK,
  RTM_NEWNEIGH,
  RTM_NEWROUTE,
  RTM_SETNEIGHTBL,
} from "./constants.js";
import {
  type BridgeSettings,
  bridgeBody,
  changeLinkBody,
  decodeLink,
  type Link,
  type LinkSettings,
  linkHeader,
  type VethEnd,
  type VethPeer,
  vethBody,
  xdpBody,
} from "./link.js";
import { type NetlinkMessage, type Part, type Request, text, u32 } from "./message.js";
import { decodeQdisc, QDISC_DUMP, type Qdisc } from "./qdisc.js";
import { NetlinkSocket } from "./socket.js";

const SKIP_STATS = u32(IFLA.EXT_MASK, RTEXT_FILTER_SKIP_STATS);

/** Requests as values, for `RouteSocket.execute`: many of them cross to the kernel in one call. */
export const requests = {
  change: (index: number, settings: LinkSettings, what = `changing link ${index}`): Request => ({
    type: RTM_NEWLINK,
    flags: 0,
    body: changeLinkBody(index, settings),
    what,
  }),
  veth: (a: VethEnd, b: VethPeer, what = `making the veth pair ${a.name}, ${b.name}`): Request => ({
    type: RTM_NEWLINK,
    flags: NLM_F_CREATE | NLM_F_EXCL,
    body: vethBody(a, b),
    what,
  }),
  bridge: (bridge: BridgeSettings, what = `making the bridge ${bridge.name}`): Request => ({
    type: RTM_NEWLINK,
    flags: NLM_F_CREATE | NLM_F_EXCL,
    body: bridgeBody(bridge),
    what,
  }),
  deleteLink: (index: number, what = `deleting link ${index}`): Request => ({
    type: RTM_DELLINK,
    flags: 0,
    body: linkHeader(index),
    what,
  }),
  /** Adds an address, or leaves it when it is there already. */
  addAddress: (index: number, prefix: string, what = `adding ${prefix} to link ${index}`): Request => ({
    type: RTM_NEWADDR,
    flags: NLM_F_CREATE | NLM_F_REPLACE,
    body: addressBody(index, prefix),
    what,
  }),
  deleteAddress: (index: number, prefix: string, what = `deleting ${prefix} of link ${index}`): Request => ({
    type: RTM_DELADDR,
    flags: 0,
    body: addressBody(index, prefix),
    what,
  }),
  /** Adds a route, or replaces the one to the same network with the same metric. */
  addRoute: (route: RouteSpec, what = `adding the route to ${route.to}`): Request => ({
    type: RTM_NEWROUTE,
    flags: NLM_F_CREATE | NLM_F_REPLACE,
    body: routeBody(route),
    what,
  }),
  deleteRoute: (route: RouteSpec, what = `deleting the route to ${route.to}`): Request => ({
    type: RTM_DELROUTE,
    flags: 0,
    body: routeBody(route),
    what,
  }),
  /** A permanent neighbour entry. */
  addNeighbour: (index: number, address: string, hardware: string): Request => ({
    type: RTM_NEWNEIGH,
    flags: NLM_F_CREATE | NLM_F_REPLACE,
    body: neighbourBody(index, address, hardware),
    what: `adding the neighbour ${address}`,
  }),
  deleteNeighbour: (index: number, address: string): Request => ({
    type: RTM_DELNEIGH,
    flags: 0,
    body: neighbourBody(index, address),
    what: `deleting the neighbour ${address}`,
  }),
  /** How long ARP (or neighbour discovery, family 6) waits on an interface before it asks again. */
  setRetransmitTime: (index: number, family: 4 | 6, milliseconds: number): Request => ({
    type: RTM_SETNEIGHTBL,
    flags: 0,
    body: retransmitBody(index, family, milliseconds),
    what: `setting the retransmit time of link ${index}`,
  }),
};

/**
 * rtnetlink(7) of one network namespace: the one in which the socket was opened. Everything is synchronous, a request
 * takes microseconds, and errors (XDPCTL_E_NETLINK, XDPCTL_E_PERMISSION) carry the kernel's own words.
 */
export class RouteSocket implements Disposable {
  readonly #socket = new NetlinkSocket(NETLINK_ROUTE);

  /** Sends requests together and in order; throws the first error, whose `cause` is the index of the request. */
  execute(list: readonly Request[]): void {
    if (list.length > 0) this.#socket.execute(list);
  }

  #dump<T>(type: number, body: Part, what: string, decode: (message: NetlinkMessage) => T | undefined): T[] {
    let found: T[] = [];
    const handler = (message: NetlinkMessage): void => {
      const one = decode(message);
      if (one !== undefined) found.push(one);
    };
    this.#socket.dump(type, body, what, handler, () => {
      found = [];
    });
    return found;
  }

  /** All links of the namespace. */
  links(): Link[] {
    return this.#dump(RTM_GETLINK, [linkHeader(), SKIP_STATS], "listing the links", decodeLink);
  }

  /** One link by index or name; undefined where there is none. */
  link(which: number | string): Link | undefined {
    const body = [
      linkHeader(typeof which === "number" ? which : 0),
      SKIP_STATS,
      typeof which === "string" ? text(IFLA.IFNAME, which) : [],
    ];
    try {
      const answers = this.#socket.request({ type: RTM_GETLINK, flags: 0, body, what: `reading link ${which}` });
      return answers.map(decodeLink).find((link) => link !== undefined);
    } catch (error) {
      if (XdpctlError.is(error) && (error.errno === errno.ENODEV || error.errno === errno.ERANGE)) return undefined;
      throw error;
    }
  }

  /**
   * Puts the program `fd` on a link, or detaches with -1 (netlink attach, not a bpf_link). `flags` are XDP_FLAGS. With
   * `expectedFd` (and XDP_FLAGS.REPLACE) the kernel refuses with EEXIST when another program is there.
   */
  setXdp(index: number, fd: number, flags: number, expectedFd?: number): void {
    const what = fd < 0 ? `detaching the program of link ${index}` : `attaching a program to link ${index}`;
    this.execute([{ type: RTM_NEWLINK, flags: 0, body: xdpBody(index, fd, flags, expectedFd), what }]);
  }

  /** Changes a link: name, up or down, mtu, hardware address, master, namespace. */
  setLink(index: number, settings: LinkSettings): void {
    this.execute([requests.change(index, settings)]);
  }

  /** Makes a veth pair; each end is created at once in its own namespace, under its own name and index. */
  addVeth(a: VethEnd, b: VethPeer): void {
    this.execute([requests.veth(a, b)]);
  }

  addBridge(bridge: BridgeSettings): void {
    this.execute([requests.bridge(bridge)]);
  }

  deleteLink(index: number): void {
    this.execute([requests.deleteLink(index)]);
  }

  /** All addresses, v4 and v6. */
  addresses(): InterfaceAddress[] {
    return this.#dump(RTM_GETADDR, Buffer.alloc(8), "listing the addresses", decodeAddress);
  }

  /** Adds `192.0.2.1/24` or `2001:db8::1/64`. IPv6 addresses are usable at once. */
  addAddress(index: number, prefix: string): void {
    this.execute([requests.addAddress(index, prefix)]);
  }

  deleteAddress(index: number, prefix: string): void {
    this.execute([requests.deleteAddress(index, prefix)]);
  }

  /** The unicast routes of the main table, v4 and v6. */
  routes(): Route[] {
    return this.#dump(RTM_GETROUTE, Buffer.alloc(12), "listing the routes", decodeRoute);
  }

  addRoute(route: RouteSpec): void {
    this.execute([requests.addRoute(route)]);
  }

  deleteRoute(route: RouteSpec): void {
    this.execute([requests.deleteRoute(route)]);
  }

  neighbours(): Neighbour[] {
    return this.#dump(RTM_GETNEIGH, Buffer.alloc(12), "listing the neighbours", decodeNeighbour);
  }

  /** The queueing disciplines of all links, but for those that the kernel keeps to itself. */
  qdiscs(): Qdisc[] {
    return this.#dump(RTM_GETQDISC, QDISC_DUMP, "listing the queueing disciplines", decodeQdisc);
  }

  close(): void {
    this.#socket.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Opens rtnetlink in the calling thread's network namespace. */
export function openRoute(): RouteSocket {
  return new RouteSocket();
}
