// SPDX-License-Identifier: MIT
import type { LinkEvent, LostEvent } from "../events/index.js";
import { errno } from "../linux/index.js";
import type { Loop, LoopHandle } from "../loop/index.js";
import { NETLINK_ROUTE, RTM_DELLINK, RTM_NEWLINK, RTNLGRP_LINK } from "./constants.js";
import { decodeLink, type Link } from "./link.js";
import type { NetlinkMessage } from "./message.js";
import { openRoute, type RouteSocket } from "./route.js";
import { NetlinkSocket } from "./socket.js";

/** `link` is the link as it is now, or as it was before a `delete`. */
export type LinkHandler = (event: LinkEvent | LostEvent, link?: Link) => void;

const sameLink = (a: Link, b: Link): boolean =>
  a.name === b.name &&
  a.up === b.up &&
  a.carrier === b.carrier &&
  a.mtu === b.mtu &&
  a.address === b.address &&
  a.master === b.master &&
  a.xdp.mode === b.xdp.mode &&
  a.xdp.progId === b.xdp.progId;

/** Watches the links of one namespace. A change that the kernel had to drop is found by reading all links anew. */
export class LinkMonitor implements Disposable {
  readonly #route: RouteSocket = openRoute();
  readonly #socket = new NetlinkSocket(NETLINK_ROUTE, { groups: [RTNLGRP_LINK] });
  readonly #known = new Map<number, Link>();
  readonly #handler: LinkHandler;
  readonly #watch: LoopHandle;

  constructor(loop: Loop, handler: LinkHandler, options: { receiveBuffer?: number } = {}) {
    this.#handler = handler;
    if (options.receiveBuffer !== undefined) this.#socket.setReceiveBuffer(options.receiveBuffer);
    for (const link of this.#route.links()) this.#known.set(link.index, link);
    this.#watch = loop.watch(this.#socket.fd, (_events, budget) => this.#read(budget));
  }

  /** The links as the monitor knows them. */
  get links(): readonly Link[] {
    return [...this.#known.values()];
  }

  #read(budget: number): void {
    const n = this.#socket.notifications(budget, (message) => this.#notice(message));
    if (n === -errno.ENOBUFS) {
      const time = new Date().toISOString();
      // The kernel does not say how many it dropped: at least one.
      this.#handler({ type: "lost", time, where: "netlink", name: "links", count: 1 });
      this.#reread();
    }
  }

  #notice(message: NetlinkMessage): void {
    if (message.type !== RTM_NEWLINK && message.type !== RTM_DELLINK) return;
    const link = decodeLink(message);
    if (link === undefined) return;
    if (message.type === RTM_DELLINK) this.#gone(link);
    else this.#seen(link);
  }

  #seen(link: Link): void {
    const before = this.#known.get(link.index);
    if (before !== undefined && sameLink(before, link)) return;
    this.#known.set(link.index, link);
    this.#emit(before === undefined ? "new" : "change", link);
  }

  #gone(link: Link): void {
    if (this.#known.delete(link.index)) this.#emit("delete", link);
  }

  #reread(): void {
    // What still waits is older than what will be read, and would undo it.
    for (let round = 0; round < 64 && this.#socket.notifications(4096, () => {}) !== 0; round++);
    const now = new Map(this.#route.links().map((link) => [link.index as number, link]));
    for (const link of [...this.#known.values()]) if (!now.has(link.index)) this.#gone(link);
    for (const link of now.values()) this.#seen(link);
  }

  #emit(action: LinkEvent["action"], link: Link): void {
    const alive = action !== "delete";
    this.#handler(
      {
        type: "link",
        time: new Date().toISOString(),
        action,
        interface: link.name,
        ifindex: link.index,
        up: alive && link.up,
        carrier: alive && link.carrier,
      },
      link,
    );
  }

  close(): void {
    this.#watch.close();
    this.#socket.close();
    this.#route.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/**
 * Reports links that come, go or change in the calling thread's network namespace, until it is closed. When the kernel
 * had to drop notifications, a `lost` event comes first and then what is found by reading all links anew.
 */
export function monitorLinks(loop: Loop, handler: LinkHandler): LinkMonitor {
  return new LinkMonitor(loop, handler);
}
