// SPDX-License-Identifier: MIT
import type { BpfMap } from "../bpf/index.js";
import { XdpctlError } from "../errors/index.js";

/** What this version reads and writes by offset; every other map is read by its own BTF. */
const KNOWN: Record<string, { type: string; key: number; value: number }> = {
  stats: { type: "percpu_hash", key: 8, value: 16 },
  lost: { type: "percpu_array", key: 4, value: 8 },
  allow_v4: { type: "lpm_trie", key: 8, value: 32 },
  deny_v4: { type: "lpm_trie", key: 8, value: 32 },
  limit_v4: { type: "lpm_trie", key: 8, value: 40 },
  allow_v6: { type: "lpm_trie", key: 20, value: 32 },
  deny_v6: { type: "lpm_trie", key: 20, value: 32 },
  limit_v6: { type: "lpm_trie", key: 20, value: 40 },
};

/** Refuses maps that another version of a program left behind. Throws XDPCTL_E_LAYOUT. */
export function checkLayout(program: string, maps: Record<string, BpfMap>): void {
  for (const [name, map] of Object.entries(maps)) {
    const known = KNOWN[name];
    if (known === undefined) continue;
    const { type, keySize, valueSize } = map.info;
    if (type === known.type && keySize === known.key && valueSize === known.value) continue;
    throw new XdpctlError(
      "XDPCTL_E_LAYOUT",
      `the map ${name} of ${program} is a ${type} with ${keySize} + ${valueSize} bytes; this version has a ${known.type} with ${known.key} + ${known.value}`,
    );
  }
}
