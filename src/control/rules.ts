// SPDX-License-Identifier: MIT
import type { BpfMap, Value } from "../bpf/index.js";
import { XdpctlError } from "../errors/index.js";
import { monotonicNow } from "../linux/index.js";
import { parseCidr } from "../packet/index.js";
import type { Rule, RuleSpec } from "../rpc/index.js";
import type { Attachments, Instance } from "../xdp/index.js";
import { plainCount } from "./plain.js";

type Entry = Record<string, Value>;

const PROTO = { tcp: 6, udp: 17 } as const;
const FAMILIES = [4, 6] as const;
const ACTIONS = ["allow", "deny", "limit"] as const;
const OWNER_BYTES = 14;

interface Place {
  map: string;
  key: Entry;
  prefixLen: number;
}

/** The map and the key of a rule. Throws XDPCTL_E_USAGE. */
function placeOf(spec: RuleSpec): Place {
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
function guards(attachments: Attachments, name: string | undefined): Instance[] {
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

function mapOf(instance: Instance, name: string): BpfMap {
  const map = instance.maps[name];
  if (map === undefined) throw new XdpctlError("XDPCTL_E_LAYOUT", `${instance.name} has no map ${name}`);
  return map;
}

/** Writes a rule into every guard that it is for; an old one with the same match is replaced and keeps its hits. */
export function addRule(attachments: Attachments, spec: RuleSpec): Rule {
  const place = placeOf(spec);
  const owner = spec.owner ?? "";
  if (Buffer.byteLength(owner) > OWNER_BYTES)
    throw new XdpctlError("XDPCTL_E_BAD_NAME", `an owner's name has up to ${OWNER_BYTES} bytes`);
  if (spec.expiresIn !== undefined && !(spec.expiresIn > 0 && spec.expiresIn < 1e9)) {
    throw new XdpctlError("XDPCTL_E_USAGE", `a rule can't expire in ${spec.expiresIn} s`);
  }
  const expiresNs = spec.expiresIn === undefined ? 0n : monotonicNow() + BigInt(Math.round(spec.expiresIn * 1e9));
  const extra: Entry = {};
  if (spec.action === "limit") {
    const { rate } = spec;
    if (rate === undefined || !(rate >= 1 && rate <= 1e9)) {
      throw new XdpctlError("XDPCTL_E_USAGE", "limit takes --rate, 1 to 1,000,000,000 packets a second");
    }
    extra.rate = Math.round(rate);
    extra.burst = Math.max(1, Math.round(spec.burst ?? Math.max(1, rate / 10)));
  }
  const instances = guards(attachments, spec.interface);
  for (const instance of instances) {
    const map = mapOf(instance, place.map);
    const old = map.get(place.key) as Entry | undefined;
    // A trie answers with the longest prefix that covers the key: another rule's hits are not this one's.
    const hits = old?.prefixLen === place.prefixLen ? (old.hits ?? 0n) : 0n;
    map.set(place.key, { expiresNs, hits, owner, prefixLen: place.prefixLen, ...extra });
  }
  const added = listRules(attachments, spec.interface).find((rule) => sameRule(rule, spec, place));
  if (added === undefined) throw new XdpctlError("XDPCTL_E_INTERNAL", "the rule was written but is not there");
  return added;
}

function sameRule(rule: Rule, spec: RuleSpec, place: Place): boolean {
  const address = place.key.addr === undefined ? null : `${String(place.key.addr)}/${place.prefixLen}`;
  const mine = rule.address === null ? null : parseCidr(rule.address);
  const same = mine === null ? address === null : address === `${cidrText(mine.bytes, mine.family)}/${mine.prefixLen}`;
  return (
    rule.action === spec.action && same && rule.port === (spec.port ?? null) && rule.proto === (spec.proto ?? null)
  );
}

/** Deletes one rule, or with `all` every rule of the action (of the owner, where one is given). Returns how many. */
export function deleteRules(attachments: Attachments, spec: RuleSpec & { all?: boolean }): number {
  const instances = guards(attachments, spec.interface);
  let deleted = 0;
  if (spec.all !== true) {
    const place = placeOf(spec);
    for (const instance of instances) if (mapOf(instance, place.map).delete(place.key)) deleted++;
    if (deleted === 0)
      throw new XdpctlError("XDPCTL_E_NO_KEY", "there is no such rule", { remedy: "`xdpctl rules` lists the rules" });
    return 1;
  }
  const wanted = spec.owner;
  for (const instance of instances) {
    for (const [name, map] of ruleMaps(instance)) {
      if (!name.startsWith(`${spec.action}_`)) continue;
      for (const [key, value] of [...map.entries()]) {
        if ((wanted === undefined || (value as Entry).owner === wanted) && map.delete(key)) deleted++;
      }
    }
  }
  return deleted;
}

function* ruleMaps(instance: Instance): Generator<[string, BpfMap]> {
  for (const action of ACTIONS) {
    const names = FAMILIES.flatMap((f) => [`${action}_v${f}`, `${action}_pair_v${f}`]);
    for (const name of [...names, `${action}_port`]) {
      const map = instance.maps[name];
      if (map !== undefined) yield [name, map];
    }
  }
}

/** All rules, each once with the interfaces that have it; expired ones are left out, and swept from the maps. */
export function listRules(attachments: Attachments, name?: string): Rule[] {
  const found = new Map<string, Rule & { total: bigint }>();
  const now = monotonicNow();
  if (name !== undefined) attachments.link(name);
  for (const instance of attachments.instances) {
    const interfaces = attachments.all.filter((a) => a.instance === instance).map((a) => a.interface);
    if (name !== undefined && !interfaces.includes(name)) continue;
    for (const [mapName, map] of ruleMaps(instance)) {
      for (const [key, value] of [...map.entries()] as [Entry, Entry][]) {
        const expires = value.expiresNs as bigint;
        if (expires !== 0n && expires <= now) {
          map.delete(key);
          continue;
        }
        const rule = describe(mapName, key, value, now);
        const id = JSON.stringify([rule.action, rule.address, rule.port, rule.proto]);
        const known = found.get(id);
        if (known === undefined) found.set(id, { ...rule, interfaces: [...interfaces], total: value.hits as bigint });
        else {
          known.interfaces.push(...interfaces);
          known.total += value.hits as bigint;
        }
      }
    }
  }
  return Array.from(found.values(), ({ total, ...rule }) => ({ ...rule, hits: plainCount(total) }));
}

function describe(mapName: string, key: Entry, value: Entry, now: bigint): Rule {
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
