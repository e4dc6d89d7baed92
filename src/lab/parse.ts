// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import { readBounded } from "../linux/index.js";
import { chooseAddresses } from "./addressing.js";
import { parseChecks } from "./checks/parse.js";
import { LabDocument, type Path, type Schema } from "./document.js";
import { shown } from "./shown.js";
import { NetworkSet, parseIp, type Prefix, parsePrefix } from "./ip.js";
import { dhcpClients, dhcpServerSpecs, leasedNetworks } from "./leases.js";
import { mptcpSpec } from "./multipath.js";
import { containerSpec } from "./kinds/container/spec.js";
import { vmSpec } from "./kinds/vm/spec.js";
import { Neighbours } from "./neighbours.js";
import { LAB_SCHEMA, type LabFile } from "./schema.js";
import type { EndSpec, LabSpec, NodeSpec, RouteSpec } from "./spec.js";
import {
  buildTopology,
  type InterfaceDraft,
  type BridgePort,
  masqueraded,
  type NodeDraft,
  type Topology,
  DEFAULT_MTU,
} from "./topology.js";

/** Bytes of a lab file at most. */
const MAX_FILE = 4 << 20;

/**
 * Parses and checks the text of a lab file, and chooses what it leaves open. No kernel is touched. Throws
 * XDPCTL_E_LAB_FILE with line, column and reason; `file` names it there.
 */
export function parseLab(text: string, file = "lab.yml"): LabSpec {
  const document = new LabDocument(text, file);
  const lab = document.check(LAB_SCHEMA as unknown as Schema) as LabFile;
  const topology = buildTopology(document, lab);
  document.raise();
  chooseAddresses(document, topology);
  const neighbours = new Neighbours(topology);
  const nodes = [...topology.nodes.values()].map((node) => nodeSpec(document, topology, neighbours, node));
  const checks = parseChecks(document, lab.checks ?? {}, nodes, [...topology.bridges.keys()]);
  document.raise();
  const mtus = bridgeMtus(topology);
  return {
    name: lab.name,
    file,
    nodes,
    bridges: [...topology.bridges].map(([name, { mtu }]) => ({ name, mtu: mtu ?? mtus.get(name) ?? DEFAULT_MTU })),
    links: topology.links.map(({ ends, mtu, impair }) => ({
      ends: [endSpec(ends[0]), endSpec(ends[1])],
      mtu,
      ...(impair === undefined ? {} : { impair }),
    })),
    checks,
  };
}

/** Reads and parses a lab file. Throws XDPCTL_E_NO_FILE and XDPCTL_E_LAB_FILE. */
export function readLab(file: string): LabSpec {
  let text: string;
  try {
    text = readBounded(file, MAX_FILE, { wait: true }).toString();
  } catch (cause) {
    const reason =
      (cause as NodeJS.ErrnoException).code === "ENOENT" ? "there is no such file" : String((cause as Error).message);
    throw new XdpctlError("XDPCTL_E_NO_FILE", `the lab file ${shown(file)} can't be read: ${reason}`, { cause });
  }
  return parseLab(text, file);
}

/** A bridge carries the smallest packet size of its links, as the kernel would have it. */
function bridgeMtus(topology: Topology): Map<string, number> {
  const found = new Map<string, number>();
  for (const { ends, mtu } of topology.links) {
    for (const end of ends) {
      if ("bridge" in end) found.set(end.bridge, Math.min(found.get(end.bridge) ?? mtu, mtu));
    }
  }
  return found;
}

function endSpec(end: InterfaceDraft | BridgePort): EndSpec {
  return "node" in end ? { node: end.node.name, interface: end.name } : { bridge: end.bridge, port: end.port };
}

function texts(values: Record<string, string | number> | undefined): Record<string, string> {
  return Object.fromEntries(Object.entries(values ?? {}).map(([name, value]) => [name, String(value)]));
}

function nodeSpec(document: LabDocument, topology: Topology, neighbours: Neighbours, node: NodeDraft): NodeSpec {
  const networks = new NetworkSet();
  for (const prefix of node.interfaces.flatMap((one) => one.addresses.map(parsePrefix))) {
    if (prefix !== undefined) networks.add(prefix);
  }
  const routes = explicitRoutes(document, node, networks);
  const families = new Set(
    routes
      .filter((r) => r.to === "default" && r.metric === undefined)
      .map((r) => (r.via?.includes(":") === true ? 6 : 4)),
  );
  const leased = leasedNetworks(node);
  for (const via of gateways(document, topology, neighbours, node, networks)) {
    // By DHCP comes the way to the rest, too.
    const byDhcp = leased.overlaps(parsePrefix(`${via}/${via.includes(":") ? 128 : 32}`) as Prefix);
    if (!byDhcp && !families.has(via.includes(":") ? 6 : 4)) routes.push({ to: "default", via });
  }
  for (const [i, { via }] of routes.entries()) {
    const at = via === undefined || via.includes(":") ? undefined : parsePrefix(`${via}/32`);
    if (at !== undefined && leased.overlaps(at)) {
      document.problem([...node.path, "routes", i], `${via} is reached by an interface whose address comes by DHCP`);
    }
  }
  const dhcpServers = dhcpServerSpecs(document, topology, node);
  const mptcp = mptcpSpec(document, node);
  const container = node.settings.kind === "container" ? containerSpec(document, node) : undefined;
  const vm = node.settings.kind === "vm" ? vmSpec(node) : undefined;
  return {
    name: node.name,
    kind: container !== undefined ? "container" : vm !== undefined ? "vm" : "netns",
    forward: node.settings.forward === true,
    masquerade: masqueraded(node),
    interfaces: node.interfaces.map(({ name, addresses, mtu, mac }) => ({
      name,
      addresses,
      mtu,
      ...(mac === undefined ? {} : { mac }),
      ...(dhcpClients(node).includes(name) ? { dhcp: true as const } : {}),
    })),
    routes,
    ...(dhcpServers.length === 0 ? {} : { dhcpServers }),
    ...(mptcp === undefined ? {} : { mptcp }),
    sysctls: texts(node.settings.sysctls),
    env: texts(node.settings.env),
    ...(container === undefined ? {} : { container }),
    ...(vm === undefined ? {} : { vm }),
  };
}

/** Default gateways: as the file says; else the one router on a host's network. */
function gateways(
  document: LabDocument,
  topology: Topology,
  neighbours: Neighbours,
  node: NodeDraft,
  networks: NetworkSet,
): string[] {
  const given = node.settings.gateway;
  const path = [...node.path, "gateway"];
  if (given === "none") return [];
  if (given !== undefined) {
    const address = parseIp(given);
    if (address !== undefined) {
      checkReachable(document, node, networks, given, path);
      return [given];
    }
    const found = given === node.name ? [] : neighbours.addresses(node.name, given);
    if (found.length === 0) {
      const reason = topology.nodes.has(given)
        ? `${shown(node.name)} shares no network with ${shown(given)}`
        : `there is no machine ${shown(given)}${document.hint(given, topology.nodes.keys())}`;
      document.problem(path, `the gateway can't be used: ${reason}`, true);
    }
    return found;
  }
  if (node.settings.forward === true) return [];
  // Two routers: which one is meant, the file has to say.
  const only = neighbours.onlyRouter(node.name);
  return only === undefined ? [] : neighbours.addresses(node.name, only);
}

function checkReachable(document: LabDocument, node: NodeDraft, networks: NetworkSet, via: string, path: Path): void {
  const host = parsePrefix(`${via}/${via.includes(":") ? 128 : 32}`);
  // Link-local next hops are on every link.
  if (host === undefined || via.toLowerCase().startsWith("fe80:")) return;
  if (!networks.overlaps(host)) {
    document.problem(path, `${shown(node.name)} has no network on which ${via} could be`, true);
  }
}

function explicitRoutes(document: LabDocument, node: NodeDraft, networks: NetworkSet): RouteSpec[] {
  return (node.settings.routes ?? []).map((given, i) => {
    const path = [...node.path, "routes", i];
    const route = typeof given === "string" ? routeOf(given) : given;
    if (route.to !== "default" && parsePrefix(route.to) === undefined) {
      document.problem(path, `${shown(route.to)} is not a network such as 10.0.0.0/8, nor \`default\``);
    }
    if (route.via === undefined && route.dev === undefined) document.problem(path, "a route needs `via` or `dev`");
    if (route.via !== undefined) {
      if (parseIp(route.via) === undefined) document.problem(path, `${shown(route.via)} is not an IP address`);
      else checkReachable(document, node, networks, route.via, path);
    }
    if (route.dev !== undefined && !node.byName.has(route.dev)) {
      const hint = document.hint(route.dev, node.byName.keys());
      document.problem(path, `${shown(node.name)} has no interface ${shown(route.dev)}${hint}`);
    }
    return {
      to: route.to,
      ...(route.via === undefined ? {} : { via: route.via }),
      ...(route.dev === undefined ? {} : { dev: route.dev }),
      ...(route.metric === undefined ? {} : { metric: route.metric }),
    };
  });
}

function routeOf(text: string): { to: string; via?: string; dev?: string; metric?: number } {
  const [to = "", ...words] = text.trim().split(/ +/);
  const route: { to: string; via?: string; dev?: string; metric?: number } = { to };
  for (let i = 0; i + 1 < words.length; i += 2) {
    const value = words[i + 1] ?? "";
    if (words[i] === "metric") route.metric = Number(value);
    else route[words[i] as "via" | "dev"] = value;
  }
  return route;
}
