// SPDX-License-Identifier: MIT
import type { BpfProgram } from "../bpf/index.js";
import { didYouMean, XdpctlError } from "../errors/index.js";
import { type Link, openRoute, type RouteSocket } from "../netlink/index.js";
import { type ForeignPlace, foreignPlace, swapProgram } from "./swap.js";

/** One interface of the calling thread's network namespace, to be looked at again and again. */
export class XdpInterface implements Disposable {
  readonly name: string;
  readonly ifindex: number;
  readonly #route: RouteSocket;

  private constructor(route: RouteSocket, link: Link) {
    this.#route = route;
    this.name = link.name;
    this.ifindex = link.index;
  }

  /** Throws XDPCTL_E_NO_INTERFACE, with the nearest name, and XDPCTL_E_USAGE for an empty one. */
  static open(name: string): XdpInterface {
    if (name === "") throw new XdpctlError("XDPCTL_E_USAGE", "the name of an interface is empty");
    const route = openRoute();
    try {
      const links = route.links();
      const link = links.find((one) => one.name === name);
      if (link !== undefined) return new XdpInterface(route, link);
      const names = links.map((one) => one.name);
      throw new XdpctlError(
        "XDPCTL_E_NO_INTERFACE",
        `there is no interface ${JSON.stringify(name).slice(1, -1)} in this namespace${didYouMean(name, names)}`,
      );
    } catch (error) {
      route.close();
      throw error;
    }
  }

  /** What it is now; undefined once it is gone. */
  now(): Link | undefined {
    return this.#route.link(this.ifindex);
  }

  /** How the program that is there now is attached. Throws XDPCTL_E_NOT_SUPPORTED, XDPCTL_E_INTERFACE_GONE. */
  place(): ForeignPlace {
    const link = this.now();
    if (link === undefined) throw new XdpctlError("XDPCTL_E_INTERFACE_GONE", `${this.name} is gone`);
    return foreignPlace(link);
  }

  /** See `swapProgram`. */
  swap(place: ForeignPlace, expected: BpfProgram, next: BpfProgram): boolean {
    return swapProgram(this.#route, place, expected, next);
  }

  close(): void {
    this.#route.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
