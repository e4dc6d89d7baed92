// SPDX-License-Identifier: MIT
import { monotonicNow } from "../linux/index.js";
import type { Rule } from "../rpc/index.js";
import type { Attachments } from "../xdp/index.js";
import { plainCount } from "./plain.js";
import { describe, type Entry, ruleMaps } from "./rule-place.js";

/** Of `expires_ns` in `struct rule` and `struct limit_rule`. */
const EXPIRES_OFFSET = 0;

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

/** Deletes what has expired: it takes room, and hides shorter prefixes. Returns how many. */
export function sweepRules(attachments: Attachments): number {
  let swept = 0;
  const now = monotonicNow();
  const expired = (bytes: Buffer, at: number): boolean => {
    const expires = bytes.readBigUInt64LE(at);
    return expires !== 0n && expires <= now;
  };
  for (const instance of attachments.instances) {
    for (const [, map] of ruleMaps(instance)) {
      const { keySize, valueSize } = map.info;
      const old: Buffer[] = [];
      for (const [keys, values, n] of map.batches()) {
        for (let i = 0; i < n; i++) {
          if (expired(values, i * valueSize + EXPIRES_OFFSET))
            old.push(Buffer.from(keys.subarray(i * keySize, (i + 1) * keySize)));
        }
      }
      for (const key of old) {
        // It may have been written again meanwhile, by a policy's worker.
        const value = map.getBytes(key);
        if (value !== undefined && expired(value, EXPIRES_OFFSET) && map.deleteBytes(key)) swept++;
      }
    }
  }
  return swept;
}
