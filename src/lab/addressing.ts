// SPDX-License-Identifier: MIT
import type { LabDocument, Path } from "./document.js";
import { shown } from "./shown.js";
import {
  type Family,
  firstFree,
  ipText,
  NetworkSet,
  networkOf,
  notAHost,
  type Prefix,
  parsePrefix,
  prefixText,
} from "./ip.js";
import type { InterfaceDraft, Segment, Topology } from "./topology.js";

/** The smallest packet size with which IPv6 works (RFC 8200 section 5). */
export const IPV6_MTU = 1280;
const FAMILIES: readonly Family[] = [4, 6];

interface Taken {
  readonly owner: string;
  readonly path: Path;
}

/** Gives every interface an IPv4 and an IPv6 address: what the file says, and what it leaves open in a free network. */
export function chooseAddresses(document: LabDocument, topology: Topology): void {
  const taken = new Map<string, Taken>();
  const networks = new NetworkSet();
  for (const segment of topology.segments) {
    for (const member of segment.members) takeExplicit(document, member, taken, networks);
    for (const text of [segment.subnet, segment.subnet6]) {
      const prefix = text === undefined ? undefined : parsePrefix(text);
      if (prefix !== undefined) networks.add(prefix);
    }
  }
  document.raise();
  const counter = { 4: 0, 6: 0 };
  const next = new Map<string, bigint>();
  for (const segment of topology.segments) {
    for (const family of FAMILIES) {
      const network = segmentNetwork(document, segment, family, networks, counter);
      if (network !== undefined) fill(document, segment, network, taken, next);
    }
  }
  document.raise();
}

function takeExplicit(
  document: LabDocument,
  member: InterfaceDraft,
  taken: Map<string, Taken>,
  networks: NetworkSet,
): void {
  for (const { text, path } of member.explicit) {
    const prefix = parsePrefix(text);
    const why = prefix === undefined ? "not an IP address with a prefix length" : notAHost(prefix);
    if (prefix === undefined || why !== undefined) {
      document.problem(path, `${shown(text)} is ${why}`);
      continue;
    }
    const address = ipText(prefix.family, prefix.value);
    const other = taken.get(address);
    const owner = `${member.node.name}:${member.name}`;
    if (other !== undefined) {
      document.problem(
        path,
        `the address ${address} of ${owner} is also that of ${other.owner} (${document.where(other.path)})`,
      );
      continue;
    }
    taken.set(address, { owner, path });
    if (prefix.family === 6 && member.mtu < IPV6_MTU) {
      document.problem(path, `IPv6 needs an mtu of ${IPV6_MTU}, and ${owner} has ${member.mtu}`);
    }
    networks.add(prefix);
    member.addresses.push(prefixText(prefix));
  }
}

/** The network for automatic addresses: as given, or of the first address given, or the next free one. */
function segmentNetwork(
  document: LabDocument,
  segment: Segment,
  family: Family,
  networks: NetworkSet,
  counter: Record<Family, number>,
): Prefix | undefined {
  const text = family === 4 ? segment.subnet : segment.subnet6;
  if (text === "none") return undefined;
  if (family === 6 && text === undefined && segment.members.some((member) => member.mtu < IPV6_MTU)) return undefined;
  if (text !== undefined) {
    const prefix = parsePrefix(text);
    const key = family === 4 ? "subnet" : "subnet6";
    if (prefix?.family === family) return networkOf(prefix);
    document.problem([...segment.path, key], `${shown(text)} is not an IPv${family} network`);
    return undefined;
  }
  for (const member of segment.members) {
    const own = member.addresses.map(parsePrefix).find((prefix) => prefix?.family === family);
    if (own !== undefined) return networkOf(own);
  }
  for (;;) {
    const n = ++counter[family];
    const next = parsePrefix(family === 4 ? `10.${n >> 8}.${n & 255}.0/24` : `fd00:0:${n.toString(16)}::/64`);
    if (next === undefined || n > 65535) {
      document.problem(segment.path, "there is no free network left for automatic addresses");
      return undefined;
    }
    if (!networks.overlaps(next)) return next;
  }
}

/**
 * Routers come first: they have the low addresses that one expects of gateways. `next` has where to go on in a network:
 * what is below is taken.
 */
function fill(
  document: LabDocument,
  segment: Segment,
  network: Prefix,
  taken: Map<string, Taken>,
  next: Map<string, bigint>,
): void {
  const key = prefixText(network);
  const routers = segment.members.filter((member) => member.node.settings.forward === true);
  const hosts = segment.members.filter((member) => member.node.settings.forward !== true);
  for (const member of [...routers, ...hosts]) {
    if (member.addresses.some((text) => parsePrefix(text)?.family === network.family)) continue;
    const free = firstFree(network, taken, next.get(key));
    const owner = `${member.node.name}:${member.name}`;
    if (free === undefined) {
      document.problem(segment.path, `the network ${key} has no free address for ${owner}`);
      return;
    }
    next.set(key, free.value - network.value + 1n);
    taken.set(ipText(free.family, free.value), { owner, path: member.path });
    member.addresses.push(prefixText(free));
  }
}
