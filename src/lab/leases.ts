// SPDX-License-Identifier: MIT
import type { LabDocument } from "./document.js";
import { ipText, NetworkSet, networkOf, type Prefix, parseIp, parsePrefix } from "./ip.js";
import { shown } from "./shown.js";
import type { DhcpServerSpec } from "./spec.js";
import type { InterfaceDraft, NodeDraft, Segment, Topology } from "./topology.js";

/** The interfaces of a machine whose IPv4 address comes by DHCP. */
export function dhcpClients(node: NodeDraft): readonly string[] {
  const { dhcp = [] } = node.settings;
  return typeof dhcp === "string" ? [dhcp] : dhcp;
}

/** The networks in which a machine has its address by DHCP. */
export function leasedNetworks(node: NodeDraft): NetworkSet {
  const networks = new NetworkSet();
  for (const name of dhcpClients(node)) {
    const prefix = ipv4(node.byName.get(name));
    if (prefix !== undefined) networks.add(networkOf(prefix));
  }
  return networks;
}

function ipv4(one: InterfaceDraft | undefined): Prefix | undefined {
  return one?.addresses.map(parsePrefix).find((prefix) => prefix?.family === 4);
}

/** What a machine serves, and that every machine which asks finds a server on its network. */
export function dhcpServerSpecs(document: LabDocument, topology: Topology, node: NodeDraft): DhcpServerSpec[] {
  for (const name of dhcpClients(node)) {
    const segment = segmentOf(topology, node, name);
    if (segment === undefined || segment.members.some((one) => one.node !== node && servedBy(one))) continue;
    document.problem(
      [...node.path, "dhcp"],
      `no machine on the network of ${shown(name)} has it in \`dhcp-server\``,
      true,
    );
  }
  return Object.entries(node.settings["dhcp-server"] ?? {}).flatMap(([name, range]) => {
    const at = node.byName.get(name);
    const own = ipv4(at);
    const path = [...node.path, "dhcp-server", name];
    if (at === undefined) return [];
    if (own === undefined) {
      document.problem(path, `${shown(name)} has no IPv4 address`);
      return [];
    }
    const network = networkOf(own);
    const ends = range.split("-").map((text) => parseIp(text.trim()));
    const [first, last] = ends;
    const size = 1n << BigInt(32 - network.length);
    const within = ends.every(
      (end) => end?.family === 4 && end.value > network.value && end.value < network.value + size - 1n,
    );
    if (!within || first === undefined || last === undefined || first.value > last.value) {
      document.problem(path, `${shown(range)} is no range of addresses in the network of ${shown(name)}`, true);
      return [];
    }
    const members = segmentOf(topology, node, name)?.members ?? [];
    const reserved = members.flatMap((member) => {
      const prefix = dhcpClients(member.node).includes(member.name) ? ipv4(member) : undefined;
      return prefix === undefined ? [] : [{ host: member.node.name, address: ipText(4, prefix.value) }];
    });
    const twice = reserved.find(({ host }, i) => reserved.findIndex((other) => other.host === host) !== i);
    if (twice !== undefined) {
      document.problem(path, `${shown(twice.host)} asks with two interfaces on this network: they have one name`);
    }
    const netmask = ipText(4, (1n << 32n) - size);
    return [{ interface: name, first: ipText(4, first.value), last: ipText(4, last.value), netmask, reserved }];
  });
}

const servedBy = ({ node, name }: InterfaceDraft): boolean => node.settings["dhcp-server"]?.[name] !== undefined;

function segmentOf(topology: Topology, node: NodeDraft, name: string): Segment | undefined {
  const draft = node.byName.get(name);
  return draft === undefined ? undefined : topology.segments.find(({ members }) => members.includes(draft));
}
