// SPDX-License-Identifier: MIT
import type { BpfMap, Value } from "../bpf/index.js";
import { XdpctlError } from "../errors/index.js";
import { parseCidr } from "../packet/index.js";
import type { Rule, RuleSpec } from "../rpc/index.js";
import type { Attachments, Instance } from "../xdp/index.js";

export type Entry = Record<string, Value>;

const PROTO = { tcp: 6, udp: 17 } as const;
const FAMILIES = [4, 6] as const;
const ACTIONS = ["allow", "deny", "limit"] as const;

/** Where a rule is kept. */
export interface Place {
  map: string;
  key: Entry;
  prefixLen: number;
}

/** The map and the key of a rule. Throws XDPCTL_E_USAGE. */
export function placeOf(spec: RuleSpec): Place {
  const { action, address, port, proto } = spec;
  if (port !== undefined && (!Number.isInteger(port) || port < 1 || port > 65535)) {
    throw new XdpctlError("XDPCTL_E_USAGE", `a port is 1 to 65535, not ${port}`);
  }
  if (proto !== undefined && port === undefined) {
    throw new XdpctlError("XDPCTL_E_USAGE", "a rule by protocol needs a port too");
  }
  const number = proto === undefined ? 0 : PROTO[proto];
  if (address === undefined) {
    if (port === undefined) throw new XdpctlError("XDPCTL_E_USAGE", `${action} takes an address, a port, or both`);
    if (action === "limit")
      throw new XdpctlError("XDPCTL_E_USAGE", "limit takes an address or a CIDR, such as 0.0.0.0/0");
    return { map: `${action}_port`, key: { port, proto: number }, prefixLen: 0 };
  }
  const cidr = parseCidr(address);
  const text = cidrText(cidr.bytes, cidr.family);
  if (port === undefined) {
    return {
      map: `${action}_v${cidr.family}`,
      key: { prefixLen: cidr.prefixLen, addr: text },
      prefixLen: cidr.prefixLen,
    };
  }
  if (action === "limit")
    throw new XdpctlError("XDPCTL_E_USAGE", "limit counts all packets of a source: it takes no port");
  const key = { prefixLen: 32 + cidr.prefixLen, proto: number, port, addr: text };
  return { map: `${action}_pair_v${cidr.family}`, key, prefixLen: cidr.prefixLen };
}

function cidrText(bytes: Uint8Array, family: 4 | 6): string {
  if (family === 4) return bytes.join(".");
  const groups = Array.from({ length: 8 }, (_, i) =>
    (((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0)).toString(16),
  );
  return groups.join(":");
}

/** The instances that hold rules, by interface name where one is given. Throws XDPCTL_E_NOT_ATTACHED. */
export function guards(attachments: Attachments, name: string | undefined): Instance[] {
  const all = attachments.all.filter((a) => a.instance.maps.deny_v4 !== undefined);
  if (name !== undefined) attachments.link(name);
  const chosen = name === undefined ? all : all.filter((a) => a.interface === name);
  if (chosen.length === 0) {
    const where = name === undefined ? "in this namespace" : `on ${name}`;
    throw new XdpctlError("XDPCTL_E_NOT_ATTACHED", `no guard is attached ${where}, so there is nothing to hold rules`, {
      remedy: "load one: `xdpctl load guard IF`",
    });
  }
  return [...new Set(chosen.map((a) => a.instance))];
}

export function mapOf(instance: Instance, name: string): BpfMap {
  const map = instance.maps[name];
  if (map === undefined) throw new XdpctlError("XDPCTL_E_LAYOUT", `${instance.name} has no map ${name}`);
  return map;
}

/** The maps of an instance that hold rules, by name. */
export function* ruleMaps(instance: Instance): Generator<[string, BpfMap]> {
  for (const action of ACTIONS) {
    const names = FAMILIES.flatMap((f) => [`${action}_v${f}`, `${action}_pair_v${f}`]);
    for (const name of [...names, `${action}_port`]) {
      const map = instance.maps[name];
      if (map !== undefined) yield [name, map];
    }
  }
}

/** An entry as a rule; its hits and interfaces are the caller's to say. `now` is monotonic, in ns. */
export function describe(mapName: string, key: Entry, value: Entry, now: bigint): Rule {
  const action = mapName.slice(0, mapName.indexOf("_")) as Rule["action"];
  const pair = mapName.includes("_pair_");
  const prefix = Number(key.prefixLen ?? 0) - (pair ? 32 : 0);
  const addr = key.addr;
  const full = mapName.endsWith("_v6") ? 128 : 32;
  const address = typeof addr !== "string" ? null : prefix === full ? addr : `${addr}/${prefix}`;
  const proto = key.proto === PROTO.tcp ? "tcp" : key.proto === PROTO.udp ? "udp" : null;
  const expires = value.expiresNs as bigint;
  return {
    action,
    address,
    port: key.port === undefined ? null : Number(key.port),
    proto,
    hits: 0,
    expires: expires === 0n ? null : new Date(Date.now() + Number(expires - now) / 1e6).toISOString(),
    owner: String(value.owner ?? ""),
    rate: value.rate === undefined ? null : Number(value.rate),
    burst: value.burst === undefined ? null : Number(value.burst),
    interfaces: [],
  };
}
