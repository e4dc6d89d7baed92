// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import { openRoute, requests } from "../netlink/index.js";
import { NetworkSet, parsePrefix } from "./ip.js";
import { kindOf } from "./kinds/index.js";
import type { Lab } from "./lab.js";
import { withLabLock } from "./lock.js";
import { openMachine } from "./machine.js";
import { configureNode } from "./network.js";
import type { LinkPlaces, Place } from "./place.js";

export interface LinkEndState {
  /** `machine:interface` or `bridge:port`. */
  readonly name: string;
  readonly up: boolean;
  readonly carrier: boolean;
}

/**
 * Sets the ends of a link that were named up or down. What the kernel forgets of an interface that is down (routes, IPv6
 * addresses) is given back when it comes up, as the lab's file has it. Returns how both ends are then.
 * Errors: XDPCTL_E_NO_INTERFACE, XDPCTL_E_PERMISSION, XDPCTL_E_NETLINK.
 */
export function setLink(lab: Lab, link: LinkPlaces, up: boolean): LinkEndState[] {
  return withLabLock(() => {
    const done = new Map<Place, LinkEndState>();
    for (const place of link.named) {
      // A guest's own end goes first: it has not lost its carrier, it was set down.
      if (!up && isInGuest(lab, place)) done.set(place, endState(lab, place, false));
      setEnd(place, up);
    }
    if (up) for (const place of link.named) restore(lab, place);
    return link.ends.map(
      (place) => done.get(place) ?? endState(lab, place, link.named.includes(place) ? up : undefined),
    );
  });
}

function setEnd(place: Place, up: boolean): void {
  withEnd(place, (route, index) => {
    route.execute([requests.change(index, { up }, `setting ${place.name} ${up ? "up" : "down"}`)]);
  });
}

function withEnd<T>(place: Place, body: (route: ReturnType<typeof openRoute>, index: number) => T): T {
  const route = place.inside(openRoute);
  try {
    const link = route.link(place.interface);
    if (link === undefined) {
      throw new XdpctlError("XDPCTL_E_NO_INTERFACE", `${place.name} is gone`, {
        remedy: "`xdpctl lab deploy` makes it anew",
      });
    }
    return body(route, link.index);
  } finally {
    route.close();
  }
}

const isInGuest = (lab: Lab, { machine }: Place): boolean =>
  lab.spec.nodes.some((node) => node.name === machine && kindOf(node).link !== undefined);

/** How an end is; a guest's own is set first. */
function endState(lab: Lab, place: Place, up: boolean | undefined): LinkEndState {
  const { name } = place;
  const state = withEnd(place, (route, index) => {
    const link = route.link(index);
    return { name, up: link?.up === true, carrier: link?.carrier === true };
  });
  const node = lab.spec.nodes.find((one) => one.name === place.machine);
  const within = node && kindOf(node).link;
  if (node === undefined || within === undefined) return state;
  const wish = { carrier: state.carrier, ...(up === undefined ? {} : { up }) };
  return { name, ...within({ state: lab.state, node }, place.interface, wish) };
}

/** Gives a machine the addresses and routes of its interfaces that are up. */
function restore(lab: Lab, { machine }: Place): void {
  const node = lab.spec.nodes.find((one) => one.name === machine);
  // A guest has its addresses and routes inside.
  if (node === undefined || kindOf(node).silent === true) return;
  using opened = openMachine(lab.name, node.name);
  const up = new Set(opened.route.links().flatMap((link) => (link.up ? [link.name] : [])));
  const interfaces = node.interfaces.filter((one) => up.has(one.name));
  const networks = new NetworkSet();
  for (const prefix of interfaces.flatMap((one) => one.addresses.map(parsePrefix))) {
    if (prefix !== undefined) networks.add(prefix);
  }
  // The kernel refuses routes over what is down.
  const routes = node.routes.filter(({ via, dev }) => {
    if (dev !== undefined && !up.has(dev)) return false;
    const host = via === undefined ? undefined : parsePrefix(`${via}/${via.includes(":") ? 128 : 32}`);
    return host === undefined || networks.overlaps(host);
  });
  const now = { ...node, interfaces, routes };
  configureNode(lab.state, now, now, opened);
}

export interface FlapOptions {
  /** Milliseconds down, and up between two times. */
  down: number;
  times: number;
  signal: AbortSignal;
  onChange?: (ends: LinkEndState[], up: boolean) => void;
}

/** Takes a link down and up again, `times` times. Whatever ends it early, the link is up after it. */
export async function flapLink(lab: Lab, link: LinkPlaces, options: FlapOptions): Promise<number> {
  const { down, times, signal, onChange } = options;
  let done = 0;
  while (done < times && !signal.aborted) {
    if (done > 0) await pause(down, signal);
    if (signal.aborted) break;
    onChange?.(setLink(lab, link, false), false);
    try {
      await pause(down, signal);
    } finally {
      onChange?.(setLink(lab, link, true), true);
    }
    done++;
  }
  return done;
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(end, ms);
    function end(): void {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    }
    if (signal.aborted) end();
    else signal.addEventListener("abort", end, { once: true });
  });
}
