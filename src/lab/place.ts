// SPDX-License-Identifier: MIT
import { didYouMean, XdpctlError } from "../errors/index.js";
import { inNamespaces } from "../linux/index.js";
import type { Lab } from "./lab.js";
import { nodeDir, SWITCH } from "./paths.js";
import { shown } from "./shown.js";
import type { EndSpec, LinkSpec } from "./spec.js";
import { machineLives } from "./state.js";

/** An interface of a running lab. */
export interface Place {
  /** `machine:interface`, a bridge, or `bridge:port`. */
  readonly name: string;
  /** The machine; undefined for what is at a bridge. */
  readonly machine: string | undefined;
  readonly interface: string;
  /** Runs `body`, synchronously, with the calling thread in the network namespace of the interface. */
  inside<T>(body: () => T): T;
}

/** The ends of a link; one that is named by one end has that end first, and alone in `named`. */
export interface LinkPlaces {
  readonly name: string;
  readonly ends: readonly [Place, Place];
  readonly named: readonly Place[];
}

const endName = (end: EndSpec): string =>
  "node" in end ? `${end.node}:${end.interface}` : `${end.bridge}:${end.port}`;

function placeOf(lab: Lab, end: EndSpec): Place {
  if ("node" in end) {
    const inside = <T>(body: () => T): T => {
      lab.check(end.node);
      return inNamespaces({ net: lab.namespaces(end.node).net }, body);
    };
    return { name: endName(end), machine: end.node, interface: end.interface, inside };
  }
  return atSwitch(lab, endName(end), end.port);
}

function atSwitch(lab: Lab, name: string, port: string): Place {
  const inside = <T>(body: () => T): T => {
    if (!machineLives(lab.state, SWITCH)) {
      const remedy = "`xdpctl lab deploy` makes them anew";
      throw new XdpctlError("XDPCTL_E_NO_NODE", `the bridges of the lab ${lab.name} are gone`, { remedy });
    }
    return inNamespaces({ net: `${nodeDir(lab.name, SWITCH)}/net` }, body);
  };
  return { name, machine: undefined, interface: port, inside };
}

function linkPlaces(lab: Lab, link: LinkSpec): readonly [Place, Place] {
  return [placeOf(lab, link.ends[0]), placeOf(lab, link.ends[1])];
}

/**
 * The link that `machine:interface`, `bridge:port`, or both ends (`client:eth0--br-lan`, with or without spaces) mean.
 * Errors: XDPCTL_E_NO_INTERFACE, XDPCTL_E_NO_NODE, each with what is near.
 */
export function findLink(lab: Lab, text: string): LinkPlaces {
  const [one = "", other, more] = text.split("--").map((end) => end.trim());
  const links = lab.spec.links;
  const isEnd = (end: EndSpec, name: string): boolean =>
    endName(end) === name || (other !== undefined && "bridge" in end && end.bridge === name);
  for (const link of links) {
    for (const [first, second] of [link.ends, [link.ends[1], link.ends[0]] as const]) {
      if (!isEnd(first, one) || more !== undefined) continue;
      if (other !== undefined && !isEnd(second, other)) continue;
      const ends = [placeOf(lab, first), placeOf(lab, second)] as const;
      return { name: ends.map((end) => end.name).join(" -- "), ends, named: other === undefined ? [ends[0]] : ends };
    }
  }
  throw notFound(lab, text);
}

/** Where packets can be looked at: as in `findLink` (of two ends the first), or a bridge. */
export function findPlace(lab: Lab, text: string): Place {
  const bridge = lab.spec.bridges.find((one) => one.name === text);
  if (bridge !== undefined) return atSwitch(lab, bridge.name, bridge.name);
  // A machine's interface need not be the lab's own: what was made in it later can be looked at, too.
  const [node = "", name] = text.split(":");
  const known = lab.spec.links.some((link) => link.ends.some((end) => endName(end) === text));
  if (!known && name !== undefined && !text.includes("--") && lab.nodes.includes(node)) {
    return placeOf(lab, { node, interface: name });
  }
  return findLink(lab, text).ends[0];
}

function notFound(lab: Lab, text: string): XdpctlError {
  const ends = lab.spec.links.flatMap((link) => linkPlaces(lab, link).map((place) => place.name));
  const bridges = lab.spec.bridges.map((bridge) => bridge.name);
  const hint = didYouMean(text, [...ends, ...bridges]) || (ends.length === 0 ? "" : `: there are ${ends.join(", ")}`);
  return new XdpctlError("XDPCTL_E_NO_INTERFACE", `the lab ${lab.name} has no link ${shown(text)}${hint}`, {
    remedy: "write `machine:interface`, or both ends: `client:eth0--br-lan`",
  });
}
