// SPDX-License-Identifier: MIT
import { type BpfMap, possibleCpus } from "../bpf/index.js";

export const VERDICT_NAMES = ["aborted", "drop", "pass", "tx", "redirect"] as const;
export type VerdictName = (typeof VERDICT_NAMES)[number];

export interface Count {
  packets: bigint;
  bytes: bigint;
}

export type VerdictCounts = Record<VerdictName, Count>;

const KEY_SIZE = 8;
const VALUE_SIZE = 16;

export function noCounts(): VerdictCounts {
  const zero = (): Count => ({ packets: 0n, bytes: 0n });
  return { aborted: zero(), drop: zero(), pass: zero(), tx: zero(), redirect: zero() };
}

/** Whether a map is our `stats`: verdict counters per interface, verdict, reason and protocol. */
export function isStats(map: BpfMap | undefined): map is BpfMap {
  return map?.info.type === "percpu_hash" && map.info.keySize === KEY_SIZE && map.info.valueSize === VALUE_SIZE;
}

/** One pass over `stats` in batches: the counts of every interface, summed over CPUs, reasons and protocols. */
export function readCounts(map: BpfMap): Map<number, VerdictCounts> {
  const all = new Map<number, VerdictCounts>();
  const cpus = possibleCpus();
  for (const [keys, values, n] of map.batches()) {
    for (let i = 0; i < n; i++) {
      const ifindex = keys.readUInt32LE(i * KEY_SIZE);
      const name = VERDICT_NAMES[keys.readUInt8(i * KEY_SIZE + 4)];
      if (name === undefined) continue;
      let counts = all.get(ifindex);
      if (counts === undefined) {
        counts = noCounts();
        all.set(ifindex, counts);
      }
      const count = counts[name];
      for (let cpu = 0; cpu < cpus; cpu++) {
        const at = (i * cpus + cpu) * VALUE_SIZE;
        count.packets += values.readBigUInt64LE(at);
        count.bytes += values.readBigUInt64LE(at + 8);
      }
    }
  }
  return all;
}

/** Events that did not fit into the ring: the sum of `lost` over the CPUs. */
export function readLost(map: BpfMap | undefined): bigint {
  if (map === undefined) return 0n;
  const value = map.getBytes(Buffer.alloc(4));
  if (value === undefined) return 0n;
  let sum = 0n;
  for (let at = 0; at + 8 <= value.length; at += 8) sum += value.readBigUInt64LE(at);
  return sum;
}
