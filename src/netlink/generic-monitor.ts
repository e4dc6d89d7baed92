// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import { errno } from "../linux/index.js";
import type { Loop, LoopHandle } from "../loop/index.js";
import { NETLINK_GENERIC } from "./constants.js";
import { decodeGeneric, type GenericFamily, type GenericMessage } from "./generic.js";
import { NetlinkSocket } from "./socket.js";

export interface GenericMonitorHandler {
  message(message: GenericMessage): void;
  /** The kernel dropped notifications, at least one: this socket was too slow. */
  lost(): void;
}

/**
 * Hears multicast groups of one family in the calling thread's network namespace, until it is closed. Throws
 * XDPCTL_E_NO_FAMILY for a group that the family has not.
 */
export class GenericMonitor implements Disposable {
  readonly #socket: NetlinkSocket;
  readonly #watch: LoopHandle;
  readonly #read: (limit: number) => void;

  /** `receiveBuffer`: bytes that may wait in the kernel; 4 MiB where CAP_NET_ADMIN allows. */
  constructor(
    loop: Loop,
    family: GenericFamily,
    groups: readonly string[],
    handler: GenericMonitorHandler,
    options: { receiveBuffer?: number } = {},
  ) {
    const ids = groups.map((name) => {
      const group = family.groups.find((one) => one.name === name);
      if (group !== undefined) return group.id;
      const there = family.groups.map((one) => one.name).join(", ") || "none";
      throw new XdpctlError("XDPCTL_E_NO_FAMILY", `the family ${family.name} has no group ${JSON.stringify(name)}`, {
        remedy: `its groups: ${there}`,
      });
    });
    this.#socket = new NetlinkSocket(NETLINK_GENERIC, { groups: ids });
    if (options.receiveBuffer !== undefined) this.#socket.setReceiveBuffer(options.receiveBuffer);
    this.#read = (limit) => {
      const n = this.#socket.notifications(limit, (message) => {
        if (message.type === family.id) handler.message(decodeGeneric(message, family.headerSize));
      });
      if (n === -errno.ENOBUFS) handler.lost();
    };
    this.#watch = loop.watch(this.#socket.fd, (_events, budget) => this.#read(budget));
  }

  /** Reads what waits, for a family that sends no more: all of it, unless the kernel had to drop some. */
  drain(): void {
    this.#read(Number.POSITIVE_INFINITY);
  }

  close(): void {
    this.#watch.close();
    this.#socket.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
