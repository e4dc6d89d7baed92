// SPDX-License-Identifier: MIT
import { BpfMap, ids, type Value } from "../bpf/index.js";
import { didYouMean, XdpctlError } from "../errors/index.js";
import type { MapEntry, MapSummary, MapTarget, Plain } from "../rpc/index.js";
import type { Attachments } from "../xdp/index.js";
import { plain } from "./plain.js";

/** Runs `body` on the map that a name, `INTERFACE/NAME` or an id means; a map opened for it is closed after. */
export function withMap<T>(attachments: Attachments, { map: target }: MapTarget, body: (map: BpfMap) => T): T {
  if (/^\d+$/.test(target)) {
    const map = BpfMap.fromId(Number(target));
    try {
      return body(map);
    } finally {
      map.close();
    }
  }
  return body(find(attachments, target));
}

function find(attachments: Attachments, target: string): BpfMap {
  const slash = target.indexOf("/");
  const name = target.slice(slash + 1);
  const wanted = slash < 0 ? undefined : target.slice(0, slash);
  if (wanted !== undefined) attachments.link(wanted);
  const chosen = attachments.all.filter((a) => wanted === undefined || a.interface === wanted);
  const hits = new Map(
    chosen.flatMap((a) => {
      const map = a.instance.maps[name];
      return map === undefined ? [] : [[map.info.id, { map, interface: a.interface }] as const];
    }),
  );
  const [first, ...more] = hits.values();
  if (first === undefined) {
    const names = new Set(chosen.flatMap((a) => Object.keys(a.instance.maps)));
    throw new XdpctlError("XDPCTL_E_NO_MAP", `there is no map ${target}${didYouMean(name, names)}`);
  }
  if (more.length > 0) {
    const all = Array.from(hits.values(), (hit) => `${hit.interface}/${name}`).join(", ");
    throw new XdpctlError("XDPCTL_E_USAGE", `${name} is there more than once: ${all}`, {
      remedy: `name one: \`${first.interface}/${name}\``,
    });
  }
  return first.map;
}

/** Our maps, or with `all` every map of the machine. */
export function listMaps(attachments: Attachments, all: boolean): MapSummary[] {
  const ours = new Map<number, MapSummary>();
  for (const { instance, interface: name } of attachments.all) {
    for (const [full, map] of Object.entries(instance.maps)) {
      const known = ours.get(map.info.id);
      if (known === undefined) ours.set(map.info.id, summary(map, full, [name]));
      else known.interfaces.push(name);
    }
  }
  if (!all) return [...ours.values()];
  const list: MapSummary[] = [];
  for (const id of ids("map")) {
    const known = ours.get(id);
    if (known !== undefined) {
      list.push(known);
      continue;
    }
    try {
      const map = BpfMap.fromId(id);
      list.push(summary(map, map.name, []));
      map.close();
    } catch (error) {
      if (!XdpctlError.is(error, "XDPCTL_E_NO_MAP")) throw error;
    }
  }
  return list;
}

function summary(map: BpfMap, name: string, interfaces: string[]): MapSummary {
  const { id, type, keySize, valueSize, maxEntries } = map.info;
  return { id, name, type, keySize, valueSize, maxEntries, interfaces };
}

export function dumpMap(map: BpfMap, limit: number): { entries: MapEntry[]; truncated: boolean } {
  const entries: MapEntry[] = [];
  for (const [key, value] of map.entries()) {
    if (entries.length >= limit) return { entries, truncated: true };
    entries.push({ key: plain(key), value: plain(value) });
  }
  return { entries, truncated: false };
}

export function getEntry(map: BpfMap, key: Plain): MapEntry {
  const bytes = map.encodeKey(key as Value);
  const value = map.getBytes(bytes);
  if (value === undefined) throw new XdpctlError("XDPCTL_E_NO_KEY", `${map.name} has no such key`);
  return { key: plain(map.decodeKey(bytes)), value: plain(map.decodeValue(value)) };
}

export function setEntry(map: BpfMap, key: Plain, value: Plain, create: boolean): MapEntry {
  map.set(key as Value, value as Value, create ? { only: "create" } : {});
  return getEntry(map, key);
}
