// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import { IPV6_MTU } from "./addressing.js";
import { errno } from "../linux/index.js";
import { hasMasquerade, type Request, requests, setMasquerade, type VethPeer, XDP_FEATURES } from "../netlink/index.js";
import { hasIpv6, type Machine, setForwarding, writeNetworkSetting } from "./machine.js";
import { SWITCH } from "./paths.js";
import { shown } from "./shown.js";
import type { EndSpec, InterfaceSpec, LabSpec, LinkSpec, NodeSpec } from "./spec.js";
import type { LabState, LinkMark } from "./state.js";

const MASQUERADE_TABLE = "xdpctl_lab";
/**
 * The kernel asks for a neighbour three times, a second apart, and what waits for the answer fails with the last. In a lab
 * where programs come and go, what was let through again should answer at once.
 */
const NEIGHBOUR_RETRANSMIT_MS = 250;

export type Machines = ReadonlyMap<string, Machine>;

const machineOf = (end: EndSpec): string => ("node" in end ? end.node : SWITCH);
const nameOf = (end: EndSpec): string => ("node" in end ? end.interface : end.port);
const endText = (end: EndSpec): string => ("node" in end ? `${end.node}:${end.interface}` : end.bridge);

function interfaceOf(spec: LabSpec, end: EndSpec): InterfaceSpec | undefined {
  if (!("node" in end)) return undefined;
  return spec.nodes.find((node) => node.name === end.node)?.interfaces.find((one) => one.name === end.interface);
}

/** The hardware address of an end here; that of a guest's NIC is the guest's alone. */
function hostAddress(spec: LabSpec, end: EndSpec): string | undefined {
  const isGuest = "node" in end && spec.nodes.some((node) => node.name === end.node && node.kind === "vm");
  return isGuest ? undefined : interfaceOf(spec, end)?.mac;
}

/** What makes a link this link: with another text it is made anew. */
export function linkKey(spec: LabSpec, link: LinkSpec): string {
  return JSON.stringify([link.ends, link.mtu, link.ends.map((end) => interfaceOf(spec, end)?.mac ?? null)]);
}

function machine(machines: Machines, name: string): Machine {
  const found = machines.get(name);
  if (found === undefined) throw new XdpctlError("XDPCTL_E_INTERNAL", `the machine ${name} is not open`);
  return found;
}

/** Makes the bridges that are missing, and deletes those that are not wanted. */
export function wireBridges(state: LabState, spec: LabSpec, machines: Machines): void {
  const at = machines.get(SWITCH);
  if (at === undefined) return;
  const live = new Map(at.route.links().map((link) => [link.name, link]));
  const list: Request[] = [];
  for (const [name, index] of Object.entries(state.bridges)) {
    if (spec.bridges.some((bridge) => bridge.name === name)) continue;
    if (live.get(name)?.index === index) list.push(requests.deleteLink(index, `deleting the bridge ${name}`));
    delete state.bridges[name];
  }
  for (const { name, mtu } of spec.bridges) {
    const known = state.bridges[name];
    if (known !== undefined && live.get(name)?.index === known) {
      list.push(requests.change(known, { up: true, mtu }, `setting the bridge ${name} up`));
      continue;
    }
    const index = state.nextIndex++;
    state.bridges[name] = index;
    list.push(requests.bridge({ name, index, mtu, up: true, multicastSnooping: false }));
  }
  at.route.execute(list);
}

/** Deletes links that the file no longer has, or that lost an end, and makes those that are missing. */
export function wireLinks(state: LabState, spec: LabSpec, machines: Machines): void {
  const wanted = new Map(spec.links.map((link) => [linkKey(spec, link), link]));
  const kept: LinkMark[] = [];
  for (const mark of state.links) {
    const link = wanted.get(mark.key);
    if (linkLives(mark, machines) && link !== undefined) kept.push(mark);
    else cutLink(mark, machines);
  }
  state.links = kept;
  const have = new Set(kept.map((mark) => mark.key));
  const list: Request[] = [];
  const made: LinkMark[] = [];
  const ports = new Map<Machine, number[]>();
  for (const [key, link] of wanted) {
    if (have.has(key)) continue;
    const index: [number, number] = [state.nextIndex++, state.nextIndex++];
    const ends = link.ends.map((end, i): VethPeer => {
      const mac = hostAddress(spec, end);
      const at = machine(machines, machineOf(end));
      ports.set(at, [...(ports.get(at) ?? []), index[i] as number]);
      const bridge = "bridge" in end ? state.bridges[end.bridge] : undefined;
      return {
        name: nameOf(end),
        index: index[i] as number,
        mtu: link.mtu,
        netns: at.net,
        ...(mac === undefined ? {} : { address: mac }),
        ...(bridge === undefined ? {} : { master: bridge }),
      };
    });
    const what = `linking ${endText(link.ends[0])} with ${endText(link.ends[1])}`;
    // The bridge's port is the end that is asked for: only that one gets its master with its making.
    const [a, b] = "bridge" in link.ends[0] ? ends : [ends[1], ends[0]];
    list.push(requests.veth(a as VethPeer, b as VethPeer, what));
    made.push({ key, ends: link.ends, index });
  }
  if (list.length === 0) return;
  const any = [...machines.values()][0] as Machine;
  state.links.push(...made);
  any.route.execute(list);
  for (const [at, indices] of ports) at.ethtool.setFeatures(indices, XDP_FEATURES);
  const up = (ports.get(machines.get(SWITCH) as Machine) ?? []).map((index) => requests.change(index, { up: true }));
  machines.get(SWITCH)?.route.execute(up);
}

function endsOf(mark: LinkMark): { machine: string; name: string; index: number }[] {
  return mark.ends.map((end, i) => ({ machine: machineOf(end), name: nameOf(end), index: mark.index[i] as number }));
}

function linkLives(mark: LinkMark, machines: Machines): boolean {
  return endsOf(mark).every((end) => {
    const at = machines.get(end.machine);
    // A machine that was just made has no links yet.
    return at !== undefined && !at.fresh && at.route.link(end.index)?.name === end.name;
  });
}

/** Deletes a link by whichever end is still there. */
export function cutLink(mark: LinkMark, machines: Machines): void {
  for (const end of endsOf(mark)) {
    const at = machines.get(end.machine);
    if (at === undefined || at.fresh) continue;
    const link = at.route.link(end.index);
    if (link?.name !== end.name || link.kind !== "veth") continue;
    executeUnlessGone(at, requests.deleteLink(end.index, `deleting ${end.machine}:${end.name}`));
    return;
  }
}

/** The indices of a machine's interfaces, by name, as the state has them. */
export function interfaceIndices(state: LabState, node: string): Map<string, number> {
  const found = new Map<string, number>();
  for (const mark of state.links) {
    for (const end of endsOf(mark)) if (end.machine === node) found.set(end.name, end.index);
  }
  return found;
}

/** Gives a machine its addresses and routes, sets its links up, and takes away what `before` had and `node` has not. */
export function configureNode(state: LabState, node: NodeSpec, before: NodeSpec | undefined, at: Machine): void {
  const indices = interfaceIndices(state, node.name);
  const v6 = hasIpv6();
  const usable = (address: string | undefined): boolean => v6 || address?.includes(":") !== true;
  if (before !== undefined && !at.fresh) withdraw(node, before, indices, at);
  const list: Request[] = [requests.change(1, { up: true }, `${node.name}: setting lo up`)];
  for (const one of node.interfaces) {
    const index = indices.get(one.name);
    if (index === undefined) continue;
    list.push(requests.change(index, { up: true }, `${node.name}: setting ${one.name} up`));
    if (!before?.interfaces.some((old) => old.name === one.name) || at.fresh) {
      list.push(requests.setRetransmitTime(index, 4, NEIGHBOUR_RETRANSMIT_MS));
      if (v6 && one.mtu >= IPV6_MTU) list.push(requests.setRetransmitTime(index, 6, NEIGHBOUR_RETRANSMIT_MS));
    }
    for (const prefix of given(one).filter(usable)) {
      list.push(requests.addAddress(index, prefix, `${node.name}: giving ${prefix} to ${one.name}`));
    }
  }
  for (const { to, via, dev, metric } of node.routes.filter((route) => usable(route.via ?? route.to))) {
    const index = dev === undefined ? undefined : indices.get(dev);
    const route = {
      to,
      ...(via === undefined ? {} : { via }),
      ...(index === undefined ? {} : { index }),
      ...(metric === undefined ? {} : { metric }),
    };
    list.push(
      requests.addRoute(route, `${node.name}: adding the route to ${to}${via === undefined ? "" : ` via ${via}`}`),
    );
  }
  at.route.execute(list);
  configureKernel(node, before, at);
}

/** The addresses that an interface is given by us: one that asks by DHCP gets its IPv4 address so. */
export function given({ addresses, dhcp }: InterfaceSpec): readonly string[] {
  return dhcp === true ? addresses.filter((prefix) => prefix.includes(":")) : addresses;
}

function withdraw(node: NodeSpec, before: NodeSpec, indices: Map<string, number>, at: Machine): void {
  const gone: Request[] = [];
  const routes = new Set(node.routes.map((route) => JSON.stringify(route)));
  for (const route of before.routes) {
    if (routes.has(JSON.stringify(route))) continue;
    const index = route.dev === undefined ? undefined : indices.get(route.dev);
    gone.push(
      requests.deleteRoute({
        to: route.to,
        ...(route.via === undefined ? {} : { via: route.via }),
        ...(index === undefined ? {} : { index }),
        ...(route.metric === undefined ? {} : { metric: route.metric }),
      }),
    );
  }
  for (const old of before.interfaces) {
    const index = indices.get(old.name);
    const now = node.interfaces.find((one) => one.name === old.name);
    if (index === undefined || now === undefined) continue;
    for (const prefix of old.addresses)
      if (!now.addresses.includes(prefix)) gone.push(requests.deleteAddress(index, prefix));
  }
  for (const request of gone) executeUnlessGone(at, request);
}

/** Deletes something; that it is gone already is as good. */
function executeUnlessGone(at: Machine, request: Request): void {
  try {
    at.route.execute([request]);
  } catch (error) {
    const fine: (number | undefined)[] = [errno.ESRCH, errno.EADDRNOTAVAIL, errno.ENODEV];
    if (!XdpctlError.is(error) || !fine.includes(error.errno)) throw error;
  }
}

/** Forwarding, masquerading and settings: what is not rtnetlink. */
function configureKernel(node: NodeSpec, before: NodeSpec | undefined, at: Machine): void {
  const settings = Object.entries(node.sysctls);
  const masquerade = node.masquerade.length > 0 || (before?.masquerade.length ?? 0) > 0;
  const old = !at.fresh;
  if (!masquerade && settings.length === 0 && !old) return;
  at.inNetwork(() => {
    if (old) setForwarding(node.forward);
    if (masquerade && (at.fresh || !isMasqueraded(node, before))) {
      setMasquerade({ table: MASQUERADE_TABLE, interfaces: node.masquerade, fresh: at.fresh });
    }
    for (const [name, value] of settings) {
      const path = name.includes("/") ? name : name.replaceAll(".", "/");
      if (!writeNetworkSetting(path, value)) {
        throw new XdpctlError("XDPCTL_E_LAB_DEPLOY", `${node.name}: this kernel has no setting ${shown(name)}`);
      }
    }
  });
}

function isMasqueraded(node: NodeSpec, before: NodeSpec | undefined): boolean {
  return before?.masquerade.join() === node.masquerade.join() && hasMasquerade(MASQUERADE_TABLE);
}
