// SPDX-License-Identifier: MIT
import { given } from "../../network.js";
import type { NodeSpec } from "../../spec.js";
import type { GuestNic } from "./files.js";

/** As in a machine of namespaces: what was let through again should answer at once. */
const NEIGHBOUR_RETRANSMIT_MS = 250;
const MASQUERADE_TABLE = "xdpctl_lab";

/** What a guest must have loaded to masquerade: found by the kernel later, it would take a modprobe each. */
export const MASQUERADE_MODULES = ["nf_tables", "nft_chain_nat", "nft_masq"];

/** Names of a guest's NICs as its kernel gave them, by the names that they shall have. */
export type NicNames = ReadonlyMap<string, string>;

/** The guest's own names of its NICs, by their hardware addresses. `links` is the output of `ip -j link`. */
export function nicNames(nics: readonly GuestNic[], links: string): NicNames {
  const found = JSON.parse(links) as { ifname: string; address?: string }[];
  return new Map(
    nics.flatMap(({ name, mac }): [string, string][] => {
      const link = found.find((one) => one.address === mac);
      return link === undefined ? [] : [[name, link.ifname]];
    }),
  );
}

/** Settings below /proc/sys that come before the NICs are up. */
export function settings(node: NodeSpec, names: NicNames, v6: boolean): [path: string, value: string][] {
  const forward = node.forward ? "1" : "0";
  const all: [string, string][] = [["net/ipv4/ip_forward", forward]];
  if (v6) all.push(["net/ipv6/conf/all/forwarding", forward]);
  for (const name of names.values()) {
    all.push([`net/ipv4/neigh/${name}/retrans_time_ms`, String(NEIGHBOUR_RETRANSMIT_MS)]);
    if (!v6) continue;
    all.push([`net/ipv6/neigh/${name}/retrans_time_ms`, String(NEIGHBOUR_RETRANSMIT_MS)]);
    all.push([`net/ipv6/conf/${name}/accept_dad`, "0"], [`net/ipv6/conf/${name}/accept_ra`, "0"]);
  }
  return all;
}

/** The lines of `ip -batch -`: names, addresses, routes, and multipath TCP. */
export function ipBatch(node: NodeSpec, names: NicNames, v6: boolean): string {
  const usable = (address: string | undefined): boolean => v6 || address?.includes(":") !== true;
  const lines: string[] = [];
  // By way of names that nobody has: eth0 and eth1 may change places.
  for (const [i, old] of [...names.values()].entries()) lines.push(`link set dev ${old} name ~${i}`);
  for (const [i, name] of [...names.keys()].entries()) lines.push(`link set dev ~${i} name ${name}`);
  for (const one of node.interfaces) {
    const { name, mtu } = one;
    lines.push(`link set dev ${name} mtu ${mtu} up`);
    for (const prefix of given(one).filter(usable)) lines.push(`address add ${prefix} dev ${name}`);
  }
  for (const route of node.routes) if (usable(route.via ?? route.to)) lines.push(`route add ${routeWords(route)}`);
  if (node.mptcp !== undefined) {
    const { subflows, accepted, endpoints } = node.mptcp;
    lines.push(`mptcp limits set subflow ${subflows} add_addr_accepted ${accepted}`);
    for (const { interface: name, address, flags } of endpoints) {
      if (usable(address)) lines.push(`mptcp endpoint add ${address} dev ${name} ${flags.join(" ")}`);
    }
  }
  return `${lines.join("\n")}\n`;
}

/**
 * Lines of `ip -force -batch -` that give a guest what it has lost of the lab's file: of the interface that is named, or of
 * all. What is there stays as it is.
 */
export function restoreBatch(node: NodeSpec, only?: string): string {
  const lines: string[] = [];
  for (const one of node.interfaces) {
    if (only !== undefined && one.name !== only) continue;
    lines.push(`link set dev ${one.name} mtu ${one.mtu} up`);
    for (const prefix of given(one)) lines.push(`address replace ${prefix} dev ${one.name}`);
  }
  for (const route of node.routes) lines.push(`route replace ${routeWords(route)}`);
  return `${lines.join("\n")}\n`;
}

function routeWords({ to, via, dev, metric }: NodeSpec["routes"][number]): string {
  const words = [via && `via ${via}`, dev && `dev ${dev}`, metric === undefined ? undefined : `metric ${metric}`];
  return [to, ...words].filter((word) => word !== undefined).join(" ");
}

/** The text for `nft -f -`; empty where nothing is masqueraded. */
export function nftRules(node: NodeSpec): string {
  if (node.masquerade.length === 0) return "";
  const rules = node.masquerade.map((name) => `oifname "${name}" masquerade`).join("\n");
  const hook = "type nat hook postrouting priority srcnat;";
  return `table inet ${MASQUERADE_TABLE} {\nchain postrouting {\n${hook}\n${rules}\n}\n}\n`;
}
