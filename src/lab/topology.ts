// SPDX-License-Identifier: MIT
import type { LabDocument, Path } from "./document.js";
import { type Impairment, impairmentProblem, isImpaired, readImpairment } from "./impairment.js";
import { CONTAINER_PROPERTIES } from "./kinds/container/schema.js";
import { VM_PROPERTIES } from "./kinds/vm/schema.js";
import { shown } from "./shown.js";
import type { BridgeFile, EndpointFile, ImpairFile, LabFile, LinkFile, NodeFile } from "./schema.js";

/** A machine with what its kind and the defaults give it. */
export interface NodeDraft {
  readonly name: string;
  readonly path: Path;
  readonly settings: NodeFile;
  readonly interfaces: InterfaceDraft[];
  readonly byName: Map<string, InterfaceDraft>;
}

export interface InterfaceDraft {
  readonly node: NodeDraft;
  readonly name: string;
  /** Where it is mentioned in a link. */
  readonly path: Path;
  readonly explicit: { readonly text: string; readonly path: Path }[];
  readonly mac: string | undefined;
  /** Chosen addresses, with prefix lengths. */
  addresses: string[];
  mtu: number;
}

/** What is one network: a bridge with all that is linked to it, or a cable between two machines. */
export interface Segment {
  readonly path: Path;
  readonly members: InterfaceDraft[];
  readonly subnet: string | undefined;
  readonly subnet6: string | undefined;
}

export interface LinkDraft {
  readonly ends: readonly [InterfaceDraft | BridgePort, InterfaceDraft | BridgePort];
  readonly mtu: number;
  readonly impair: readonly [Impairment, Impairment] | undefined;
}

export interface BridgePort {
  readonly bridge: string;
  port: string;
}

export interface Topology {
  readonly nodes: Map<string, NodeDraft>;
  readonly bridges: Map<string, BridgeFile>;
  readonly segments: Segment[];
  readonly links: LinkDraft[];
}

export const DEFAULT_MTU = 1500;
const BASE_KINDS = ["netns", "linux", "container", "vm", "bridge"];

/** Follows `kind` and `defaults`: the most specific setting wins, maps are merged. */
function inherit(document: LabDocument, file: LabFile, own: NodeFile, path: Path): NodeFile {
  const kinds = file.kinds ?? {};
  const chain: NodeFile[] = [own];
  const seen = new Set<string>();
  let kind = own.kind ?? file.defaults?.kind;
  while (kind !== undefined && !BASE_KINDS.includes(kind)) {
    const next = Object.hasOwn(kinds, kind) ? kinds[kind] : undefined;
    if (next === undefined) {
      const hint = document.hint(kind, Object.keys(kinds), BASE_KINDS);
      document.problem([...path, "kind"], `there is no kind ${shown(kind)}${hint}`, true);
      break;
    }
    if (seen.has(kind)) {
      document.problem(["kinds", kind], `the kind ${shown(kind)} is made of itself`);
      break;
    }
    seen.add(kind);
    chain.push(next);
    kind = next.kind;
  }
  if (file.defaults !== undefined) chain.push(file.defaults);
  const merged: NodeFile = {};
  for (const one of chain.reverse()) {
    const { addresses, sysctls, env, ...plain } = one;
    Object.assign(merged, plain);
    if (addresses !== undefined) merged.addresses = { ...merged.addresses, ...addresses };
    if (sysctls !== undefined) merged.sysctls = { ...merged.sysctls, ...sysctls };
    if (env !== undefined) merged.env = { ...merged.env, ...env };
  }
  merged.kind = kind === undefined || kind === "linux" ? "netns" : kind;
  refuseOthers(document, merged.kind, file.defaults === undefined ? chain : chain.slice(1), path);
  return merged;
}

const OF_KINDS = {
  container: [CONTAINER_PROPERTIES, "containers"],
  vm: [VM_PROPERTIES, "virtual machines"],
} as const;

/** Settings of one kind of machine mean nothing to another; in `defaults` they wait for the machines that they are for. */
function refuseOthers(document: LabDocument, kind: string, chain: readonly NodeFile[], path: Path): void {
  for (const [owner, [properties, what]] of Object.entries(OF_KINDS)) {
    if (kind === owner) continue;
    for (const name of Object.keys(properties) as (keyof NodeFile)[]) {
      if (!chain.some((one) => one[name] !== undefined)) continue;
      document.problem([...path, name], `${shown(name)} is a setting of ${what}: \`kind: ${owner}\``);
    }
  }
}

const listOf = (value: string | string[] | undefined): string[] =>
  value === undefined ? [] : typeof value === "string" ? [value] : value;

interface End {
  readonly node: string;
  readonly interface: string | undefined;
  readonly addresses: { text: string; path: Path }[];
  readonly mac: string | undefined;
  readonly path: Path;
}

function endOf(end: string | EndpointFile, path: Path): End {
  if (typeof end === "string") {
    const [node = "", name] = end.trim().split(":");
    return { node, interface: name, addresses: [], mac: undefined, path };
  }
  const addresses = (["ipv4", "ipv6"] as const).flatMap((key) => {
    const text = end[key];
    return text === undefined ? [] : [{ text, path: [...path, key] }];
  });
  return { node: end.node, interface: end.interface, addresses, mac: end.mac, path };
}

function endsOf(link: LinkFile, path: Path): End[] {
  if (typeof link === "string") return link.split(/ +-- +/).map((text) => endOf(text, path));
  return link.endpoints.map((end, i) => endOf(end, [...path, "endpoints", i]));
}

/** Turns names into a graph, and notes what does not fit together. */
export function buildTopology(document: LabDocument, file: LabFile): Topology {
  const nodes = new Map<string, NodeDraft>();
  const bridges = new Map<string, BridgeFile>(Object.entries(file.bridges ?? {}).map(([name, b]) => [name, b ?? {}]));
  for (const [name, own] of Object.entries(file.nodes)) {
    const path = ["nodes", name];
    const settings = inherit(document, file, own ?? {}, path);
    if (settings.kind === "bridge" || bridges.has(name)) {
      if (bridges.has(name)) document.problem(path, `${shown(name)} is a machine and a bridge`);
      else if (name.length > 15) document.problem(path, `the bridge's name ${shown(name)} has more than 15 characters`);
      bridges.set(name, {});
    } else if (name === "switch")
      document.problem(path, "`switch` is the name of the lab's own namespace for its bridges");
    else nodes.set(name, { name, path, settings, interfaces: [], byName: new Map() });
  }
  const joined = new Map<string, Segment>();
  for (const [name, b] of bridges) {
    joined.set(name, { path: ["bridges", name], members: [], subnet: b.subnet, subnet6: b.subnet6 });
  }
  const segments = [...joined.values()];
  const links: LinkDraft[] = [];
  for (const [i, link] of (file.links ?? []).entries()) {
    const path: Path = ["links", i];
    const given: Partial<Exclude<LinkFile, string>> = typeof link === "string" ? {} : link;
    const ends = endsOf(link, path).map((end) => placeEnd(document, nodes, bridges, end));
    const [a, b] = ends;
    if (a === undefined || b === undefined) continue;
    const bridgeMtu = [a, b].map((end) => ("bridge" in end ? bridges.get(end.bridge)?.mtu : undefined));
    const mtu = given.mtu ?? bridgeMtu[0] ?? bridgeMtu[1] ?? DEFAULT_MTU;
    const members = [a, b].filter((end): end is InterfaceDraft => "node" in end);
    for (const member of members) member.mtu = mtu;
    const bridge = [a, b].find((end): end is BridgePort => "bridge" in end);
    if (members.length === 0) document.problem(path, "a link between two bridges is not supported");
    else if (bridge !== undefined) {
      joined.get(bridge.bridge)?.members.push(...members);
      if (given.subnet !== undefined || given.subnet6 !== undefined) {
        document.problem(
          [...path, given.subnet === undefined ? "subnet6" : "subnet"],
          `the subnet of a bridge is given at the bridge ${shown(bridge.bridge)}`,
        );
      }
    } else segments.push({ path, members, subnet: given.subnet, subnet6: given.subnet6 });
    links.push({ ends: [a, b], mtu, impair: impairmentsOf(document, given, path, mtu) });
  }
  namePorts(document, links);
  for (const node of nodes.values()) checkInterfaces(document, node);
  return { nodes, bridges, segments, links };
}

/** What is wrong with each direction: what the link says, and on top of it what the end says. */
function impairmentsOf(
  document: LabDocument,
  given: Partial<Exclude<LinkFile, string>>,
  path: Path,
  mtu: number,
): [Impairment, Impairment] | undefined {
  const read = (file: ImpairFile | undefined, at: Path): Impairment =>
    file === undefined
      ? {}
      : readImpairment(file, (key, message) => document.problem([...at, "impair", key ?? ""], message, true));
  const both = read(given.impair, path);
  const [a, b] = [0, 1].map((side): Impairment => {
    const end = given.endpoints?.[side];
    const at = [...path, "endpoints", side];
    const one = { ...both, ...read(typeof end === "string" ? undefined : end?.impair, at) };
    const problem = impairmentProblem(one, mtu);
    if (problem !== undefined) document.problem([...(given.impair === undefined ? at : path), "impair"], problem[1]);
    return one;
  }) as [Impairment, Impairment];
  return isImpaired(a) || isImpaired(b) ? [a, b] : undefined;
}

function placeEnd(
  document: LabDocument,
  nodes: Map<string, NodeDraft>,
  bridges: Map<string, BridgeFile>,
  end: End,
): InterfaceDraft | BridgePort | undefined {
  if (bridges.has(end.node)) return { bridge: end.node, port: end.interface ?? "" };
  const node = nodes.get(end.node);
  if (node === undefined) {
    const hint = document.hint(end.node, nodes.keys(), bridges.keys());
    document.problem(end.path, `there is no machine or bridge ${shown(end.node)}${hint}`);
    return undefined;
  }
  const name = end.interface;
  if (name === undefined) {
    document.problem(end.path, `the end at ${shown(end.node)} needs an interface, as in \`${end.node}:eth0\``);
    return undefined;
  }
  if (!checkInterfaceName(document, end.path, name)) return undefined;
  const twin = node.byName.get(name);
  if (twin !== undefined) {
    document.problem(end.path, `${shown(`${node.name}:${name}`)} is linked twice (also ${document.where(twin.path)})`);
    return undefined;
  }
  const draft: InterfaceDraft = {
    node,
    name,
    path: end.path,
    explicit: [...end.addresses],
    mac: end.mac,
    addresses: [],
    mtu: DEFAULT_MTU,
  };
  node.interfaces.push(draft);
  node.byName.set(name, draft);
  return draft;
}

/** The names that the kernel takes, less what would confuse shells and /proc/sys. */
function checkInterfaceName(document: LabDocument, path: Path, name: string): boolean {
  if (name.length > 15) document.problem(path, `the interface name ${shown(name)} has more than 15 characters`);
  else if (name === "lo") document.problem(path, "`lo` is every machine's own loopback and can't be linked");
  else if (!/^(?!all$|default$|\.{1,2}$)[A-Za-z0-9_.@+=-]+$/.test(name)) {
    document.problem(path, `${shown(name)} can't be an interface's name`);
  } else return true;
  return false;
}

/** Port names are seen in the switch's namespace only; they tell whose they are. */
function namePorts(document: LabDocument, links: readonly LinkDraft[]): void {
  const taken = new Set<string>();
  for (const [i, link] of links.entries()) {
    for (const [side, end] of link.ends.entries()) {
      if (!("bridge" in end)) continue;
      const other = link.ends[1 - side];
      if (end.port === "") {
        const wish = other !== undefined && "node" in other ? `${other.node.name}.${other.name}` : "";
        end.port = wish !== "" && wish.length <= 15 && !taken.has(wish) ? wish : `port${i}`;
      } else if (checkInterfaceName(document, ["links", i], end.port) && taken.has(end.port)) {
        document.problem(["links", i], `the port ${shown(end.port)} is used twice`);
      }
      taken.add(end.port);
    }
  }
}

function checkInterfaces(document: LabDocument, node: NodeDraft): void {
  const unknown = (path: Path, name: string, value: boolean): void => {
    document.problem(
      path,
      `${shown(node.name)} has no interface ${shown(name)}${document.hint(name, node.byName.keys())}: no link names it`,
      value,
    );
  };
  for (const [name, given] of Object.entries(node.settings.addresses ?? {})) {
    const draft = node.byName.get(name);
    const path = [...node.path, "addresses", name];
    if (draft === undefined) unknown(path, name, false);
    else draft.explicit.push(...listOf(given).map((text) => ({ text, path })));
  }
  for (const name of listOf(node.settings.dhcp))
    if (!node.byName.has(name)) unknown([...node.path, "dhcp"], name, true);
  for (const name of Object.keys(node.settings["dhcp-server"] ?? {}))
    if (!node.byName.has(name)) unknown([...node.path, "dhcp-server", name], name, false);
  for (const name of masqueraded(node)) if (!node.byName.has(name)) unknown([...node.path, "masquerade"], name, true);
}

export function masqueraded(node: NodeDraft): string[] {
  return listOf(node.settings.masquerade);
}
