// SPDX-License-Identifier: MIT
import { type Family, parseIp } from "./ip.js";
import type { InterfaceDraft, Segment, Topology } from "./topology.js";

/** Who shares a network with whom. */
export class Neighbours {
  readonly #segments = new Map<string, Set<Segment>>();
  readonly #members = new Map<Segment, Map<string, InterfaceDraft[]>>();
  readonly #routers = new Map<Segment, Set<string>>();

  constructor(topology: Topology) {
    for (const segment of topology.segments) {
      const members = new Map<string, InterfaceDraft[]>();
      const routers = new Set<string>();
      for (const member of segment.members) {
        const { name, settings } = member.node;
        listAt(members, name).push(member);
        if (settings.forward === true) routers.add(name);
        const own = this.#segments.get(name);
        if (own === undefined) this.#segments.set(name, new Set([segment]));
        else own.add(segment);
      }
      this.#members.set(segment, members);
      this.#routers.set(segment, routers);
    }
  }

  /** The one other machine that forwards on the networks of `from`; undefined when there are none or several. */
  onlyRouter(from: string): string | undefined {
    let only: string | undefined;
    for (const segment of this.#segments.get(from) ?? []) {
      for (const router of this.#routers.get(segment) ?? []) {
        if (router === from || router === only) continue;
        if (only !== undefined) return undefined;
        only = router;
      }
    }
    return only;
  }

  /** The addresses of `node` on networks that it shares with `from`: one a family. */
  addresses(from: string, node: string): string[] {
    const found = new Map<Family, string>();
    for (const segment of this.#segments.get(from) ?? []) {
      for (const member of this.#members.get(segment)?.get(node) ?? []) {
        for (const text of member.addresses) {
          const address = text.split("/")[0] ?? "";
          const family = parseIp(address)?.family;
          if (family !== undefined && !found.has(family)) found.set(family, address);
        }
      }
    }
    return [...found.values()];
  }
}

function listAt<K, V>(map: Map<K, V[]>, key: K): V[] {
  const there = map.get(key);
  if (there !== undefined) return there;
  const made: V[] = [];
  map.set(key, made);
  return made;
}
