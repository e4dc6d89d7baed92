// SPDX-License-Identifier: MIT
import { BpfMap } from "../bpf/index.js";
import type { PolicyMap } from "./maps.js";

/** `owner` in `struct rule` and `struct limit_rule` of bpf/include/xdpctl.h. */
export const OWNER_OFFSET = 16;
export const OWNER_LENGTH = 15;
/** `prefix_len`, in both: for the guard's events. */
export const PREFIX_OFFSET = OWNER_OFFSET + OWNER_LENGTH;
/** `hits`, in both, in 32-bit words. */
export const HITS_WORD = 2;
/** `struct rule`, in bytes. */
export const RULE_SIZE = 32;

const RULE_MAP = /^(allow|deny|limit)_(pair_)?(v4|v6|port)$/;

/** A policy's name as rules carry it: at most 14 bytes of UTF-8, and zeros. */
export function ownerBytes(name: string): Uint8Array {
  const out = new Uint8Array(OWNER_LENGTH);
  // encodeInto never cuts a character.
  new TextEncoder().encodeInto(name, out.subarray(0, OWNER_LENGTH - 1));
  return out;
}

/** Whether a rule's value, as read from a map, carries that owner. */
export function owns(owner: Uint8Array, value: Uint8Array): boolean {
  for (let i = 0; i < OWNER_LENGTH; i++) if (value[OWNER_OFFSET + i] !== owner[i]) return false;
  return true;
}

/** Whether a rule's value, in 32-bit words, has an end that is past. */
export function expired(words: Uint32Array): boolean {
  const expiresNs = (words[1] as number) * 4294967296 + (words[0] as number);
  return expiresNs !== 0 && expiresNs <= Number(process.hrtime.bigint());
}

/** The name that rules carry for a policy. */
export function ownerName(name: string): string {
  return Buffer.from(ownerBytes(name)).toString().replace(/\0+$/, "");
}

/**
 * Deletes the entries of one owner from the rule maps among `maps`; returns how many. Every map of an attached guard may
 * be given: the others are left alone.
 */
export function removeOwned(maps: readonly PolicyMap[], owner: string): number {
  const wanted = Buffer.from(ownerBytes(owner));
  let removed = 0;
  for (const { name, fd } of maps) {
    if (!RULE_MAP.test(name)) continue;
    const map = BpfMap.fromFd(fd);
    const { keySize, valueSize } = map.info;
    if (valueSize < OWNER_OFFSET + OWNER_LENGTH) continue;
    const keys: Buffer[] = [];
    for (const [batchKeys, values, n] of map.batches()) {
      for (let i = 0; i < n; i++) {
        const at = i * valueSize + OWNER_OFFSET;
        if (wanted.equals(values.subarray(at, at + OWNER_LENGTH)))
          keys.push(Buffer.from(batchKeys.subarray(i * keySize, (i + 1) * keySize)));
      }
    }
    for (const key of keys) if (map.deleteBytes(key)) removed++;
  }
  return removed;
}
