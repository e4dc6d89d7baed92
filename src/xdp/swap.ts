// SPDX-License-Identifier: MIT
import { type BpfProgram, XdpLink } from "../bpf/index.js";
import { XdpctlError } from "../errors/index.js";
import { errno } from "../linux/index.js";
import { type Link, openRoute, type RouteSocket, XDP_FLAGS } from "../netlink/index.js";
import { findLink, type XdpMode } from "./attach.js";

/** How a program that is not ours is attached. */
export interface ForeignPlace {
  readonly ifindex: number;
  readonly mode: XdpMode;
  /** The id of the bpf_link that holds it; undefined where it was attached by netlink. */
  readonly linkId: number | undefined;
}

/** Throws XDPCTL_E_NOT_SUPPORTED for a program on the card itself, and for two programs at once. */
export function foreignPlace(link: Link): ForeignPlace {
  const { mode, progId } = link.xdp;
  if (mode !== "native" && mode !== "generic") {
    const what = mode === "multi" ? "programs in two modes at once" : `a program in ${mode} mode`;
    throw new XdpctlError("XDPCTL_E_NOT_SUPPORTED", `${link.name} has ${what}, which can't be captured`, {
      remedy: "unload one of them",
    });
  }
  const held = findLink(link.index, progId);
  const linkId = held?.info.id;
  held?.close();
  return { ifindex: link.index, mode, linkId };
}

/**
 * Puts `next` in the place of `expected`, in one step and only when that is still there: false when another one is, or none,
 * or the interface or the link is gone. The link stays its owner's: it goes when the owner ends, whatever program it has.
 */
export function swapProgram(route: RouteSocket, place: ForeignPlace, expected: BpfProgram, next: BpfProgram): boolean {
  if (place.linkId !== undefined) {
    const link = XdpLink.fromId(place.linkId);
    if (link === undefined) return false;
    try {
      return link.exchange(expected, next);
    } finally {
      link.close();
    }
  }
  const flags = place.mode === "generic" ? XDP_FLAGS.SKB_MODE : XDP_FLAGS.DRV_MODE;
  try {
    route.setXdp(place.ifindex, next.fd, flags | XDP_FLAGS.REPLACE, expected.fd);
    return true;
  } catch (error) {
    if (XdpctlError.is(error) && (error.errno === errno.EEXIST || error.errno === errno.ENODEV)) return false;
    throw error;
  }
}

/** `swapProgram` in the calling thread's namespace. */
export function restoreProgram(place: ForeignPlace, expected: BpfProgram, next: BpfProgram): boolean {
  const route = openRoute();
  try {
    return swapProgram(route, place, expected, next);
  } finally {
    route.close();
  }
}

/** Whether an interface of the calling thread's namespace has this program now. */
export function isAttached(ifindex: number, program: BpfProgram): boolean {
  const route = openRoute();
  try {
    return route.link(ifindex)?.xdp.progId === program.id;
  } finally {
    route.close();
  }
}
