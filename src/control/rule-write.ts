// SPDX-License-Identifier: MIT
import type { BpfMap } from "../bpf/index.js";
import { XdpctlError } from "../errors/index.js";
import { monotonicNow } from "../linux/index.js";
import { formatAddress, parseCidr } from "../packet/index.js";
import type { Rule, RuleSpec } from "../rpc/index.js";
import type { Attachments, Instance } from "../xdp/index.js";
import { plainCount } from "./plain.js";
import { describe, type Entry, guards, mapOf, type Place, placeOf, ruleMaps } from "./rule-place.js";
import { sweepRules } from "./rules.js";

const OWNER_BYTES = 14;

/** What is written, and where; checked before anything is. */
interface Written {
  spec: RuleSpec;
  place: Place;
  expiresIn: bigint;
  owner: string;
  extra: Entry;
}

function check(spec: RuleSpec): Written {
  const place = placeOf(spec);
  const owner = spec.owner ?? "";
  if (Buffer.byteLength(owner) > OWNER_BYTES)
    throw new XdpctlError("XDPCTL_E_BAD_NAME", `an owner's name has up to ${OWNER_BYTES} bytes`);
  if (spec.expiresIn !== undefined && !(spec.expiresIn > 0 && spec.expiresIn < 1e9)) {
    throw new XdpctlError("XDPCTL_E_USAGE", `a rule can't expire in ${spec.expiresIn} s`);
  }
  const extra: Entry = {};
  if (spec.action === "limit") {
    const { rate } = spec;
    if (rate === undefined || !(rate >= 1 && rate <= 1e9)) {
      throw new XdpctlError("XDPCTL_E_USAGE", "limit takes --rate, 1 to 1,000,000,000 packets a second");
    }
    extra.rate = Math.round(rate);
    extra.burst = Math.max(1, Math.round(spec.burst ?? Math.max(1, rate / 10)));
  }
  // Something that expires has a time, however soon: 0 is for ever.
  const expiresIn = spec.expiresIn === undefined ? 0n : BigInt(Math.max(1, Math.round(spec.expiresIn * 1e9)));
  return { spec, place, expiresIn, owner, extra };
}

/** The guards of each interface that is asked for, and their interfaces: looked up once for all rules of a request. */
function holders(attachments: Attachments): (name: string | undefined) => [Instance, string[]][] {
  const known = new Map<string | undefined, [Instance, string[]][]>();
  return (name) => {
    let found = known.get(name);
    if (found === undefined) {
      const { all } = attachments;
      found = guards(attachments, name).map((instance) => [
        instance,
        all.filter((a) => a.instance === instance).map((a) => a.interface),
      ]);
      known.set(name, found);
    }
    return found;
  };
}

/**
 * Writes rules, all of them or none, each into every guard that it is for; an old one with the same match is replaced
 * and keeps its hits. Throws XDPCTL_E_USAGE, XDPCTL_E_NOT_ATTACHED, XDPCTL_E_MAP_FULL.
 */
export function addRules(attachments: Attachments, specs: readonly RuleSpec[]): Rule[] {
  const wanted = specs.map(check);
  const on = holders(attachments);
  for (const { spec } of wanted) on(spec.interface);
  const now = monotonicNow();
  const undo: (() => void)[] = [];
  let swept = false;
  const set = (map: BpfMap, key: Entry, value: Entry): void => {
    try {
      map.set(key, value);
    } catch (error) {
      // What has expired still takes room: once a request, it makes some.
      if (swept || !XdpctlError.is(error, "XDPCTL_E_MAP_FULL")) throw error;
      swept = true;
      sweepRules(attachments);
      map.set(key, value);
    }
  };
  try {
    return wanted.map(({ spec, place, expiresIn, owner, extra }) => {
      const { key, prefixLen } = place;
      const value: Entry = { expiresNs: expiresIn === 0n ? 0n : now + expiresIn, owner, prefixLen, ...extra };
      const interfaces: string[] = [];
      let total = 0n;
      for (const [instance, names] of on(spec.interface)) {
        const map = mapOf(instance, place.map);
        const found = map.get(key) as Entry | undefined;
        // A trie answers with the longest prefix that covers the key: another rule's hits are not this one's.
        const old = found?.prefixLen === prefixLen ? found : undefined;
        const hits = (old?.hits ?? 0n) as bigint;
        set(map, key, { ...value, hits });
        undo.push(() => (old === undefined ? map.delete(key) : map.set(key, old)));
        interfaces.push(...names);
        total += hits;
      }
      const rule = describe(place.map, { ...key, ...shownAddress(spec) }, value, now);
      return { ...rule, interfaces, hits: plainCount(total) };
    });
  } catch (error) {
    for (const back of undo.reverse()) back();
    throw error;
  }
}

/** The address as the map would show it. */
function shownAddress({ address }: RuleSpec): Entry {
  return address === undefined ? {} : { addr: formatAddress(parseCidr(address).bytes) };
}

function nameOf({ action, address, port, proto }: RuleSpec): string {
  const parts = [action, address, proto, port === undefined ? undefined : `port ${port}`];
  return parts.filter((part) => part !== undefined).join(" ");
}

/** Whether maps have an entry of just that key, which a lookup in a trie alone can't tell. Reads each map at most once. */
function presence(): (map: BpfMap, place: Place) => boolean {
  const listed = new Map<BpfMap, Set<string>>();
  return (map, place) => {
    const found = map.get(place.key) as Entry | undefined;
    if (found === undefined) return false;
    if (map.info.type !== "lpm_trie") return true;
    let keys = listed.get(map);
    if (keys === undefined) {
      keys = new Set<string>();
      for (const [run, , n] of map.batches()) {
        const size = map.info.keySize;
        for (let i = 0; i < n; i++) keys.add(run.toString("latin1", i * size, (i + 1) * size));
      }
      listed.set(map, keys);
    }
    return keys.has(map.encodeKey(place.key).toString("latin1"));
  };
}

const NAMED = 5;

/** Deletes rules, all of them or none; returns how many. Throws XDPCTL_E_NO_KEY, which names those that are missing. */
export function deleteRules(attachments: Attachments, specs: readonly RuleSpec[]): number {
  const on = holders(attachments);
  const has = presence();
  const wanted = specs.map((spec) => {
    const place = placeOf(spec);
    const maps = on(spec.interface).map(([instance]) => mapOf(instance, place.map));
    return { spec, place, maps, missing: !maps.some((map) => has(map, place)) };
  });
  const missing = [...new Set(wanted.filter((one) => one.missing).map(({ spec }) => nameOf(spec)))];
  if (missing.length > 0) {
    const more = missing.length > NAMED ? ` and ${missing.length - NAMED} more` : "";
    const which = `${missing.slice(0, NAMED).join(", ")}${more}`;
    const what = missing.length === 1 ? `there is no such rule: ${which}` : `there are no such rules: ${which}`;
    const kept = specs.length > missing.length ? "; nothing was deleted" : "";
    throw new XdpctlError("XDPCTL_E_NO_KEY", `${what}${kept}`, { remedy: "`xdpctl rules` lists the rules" });
  }
  let deleted = 0;
  for (const { place, maps } of wanted) {
    // One that is named twice is deleted once.
    if (maps.filter((map) => map.delete(place.key)).length > 0) deleted++;
  }
  return deleted;
}

/** Deletes every rule of the action (of the owner, where one is given). Returns how many. */
export function deleteAllRules(attachments: Attachments, spec: RuleSpec): number {
  let deleted = 0;
  for (const instance of guards(attachments, spec.interface)) {
    for (const [name, map] of ruleMaps(instance)) {
      if (!name.startsWith(`${spec.action}_`)) continue;
      for (const [key, value] of [...map.entries()]) {
        if ((spec.owner === undefined || (value as Entry).owner === spec.owner) && map.delete(key)) deleted++;
      }
    }
  }
  return deleted;
}
