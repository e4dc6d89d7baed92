// SPDX-License-Identifier: MIT
import { isIPv4, isIPv6 } from "node:net";

export type Family = 4 | 6;

/** An address with a prefix length, as a number: arithmetic needs no kernel. */
export interface Prefix {
  readonly family: Family;
  /** The whole address, host part included. */
  readonly value: bigint;
  readonly length: number;
}

const bits = (family: Family): number => (family === 4 ? 32 : 128);

/** The value of an address, or undefined for what is none. Zones (`fe80::1%eth0`) are not addresses here. */
export function parseIp(text: string): { family: Family; value: bigint } | undefined {
  if (isIPv4(text)) return { family: 4, value: v4Value(text) };
  if (!isIPv6(text) || text.includes("%")) return undefined;
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  let plain = text;
  if (dotted !== null) {
    const low = v4Value(dotted[2] ?? "");
    plain = `${dotted[1]}${(low >> 16n).toString(16)}:${(low & 0xffffn).toString(16)}`;
  }
  const [head = "", tail] = plain.split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  const groups = [
    ...left,
    ...Array<string>(tail === undefined ? 0 : 8 - left.length - right.length).fill("0"),
    ...right,
  ];
  return { family: 6, value: groups.reduce((sum, group) => (sum << 16n) | BigInt(`0x${group}`), 0n) };
}

function v4Value(text: string): bigint {
  return text.split(".").reduce((sum, part) => (sum << 8n) | BigInt(part), 0n);
}

/** The canonical text of an address (RFC 5952 for IPv6). */
export function ipText(family: Family, value: bigint): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join(".");
  const groups = Array.from({ length: 8 }, (_, i) => Number((value >> BigInt(112 - 16 * i)) & 0xffffn));
  let best = { at: -1, count: 1 };
  for (let i = 0; i < 8; ) {
    let count = 0;
    while (i + count < 8 && groups[i + count] === 0) count++;
    if (count > best.count) best = { at: i, count };
    i += Math.max(count, 1);
  }
  const hex = groups.map((group) => group.toString(16));
  if (best.at < 0) return hex.join(":");
  return `${hex.slice(0, best.at).join(":")}::${hex.slice(best.at + best.count).join(":")}`;
}

/** `192.168.5.1/24`; undefined for what is none, or has no length. */
export function parsePrefix(text: string): Prefix | undefined {
  const match = /^([^/]+)\/(\d{1,3})$/.exec(text);
  const ip = match === null ? undefined : parseIp(match[1] ?? "");
  const length = Number(match?.[2]);
  if (ip === undefined || length > bits(ip.family)) return undefined;
  return { ...ip, length };
}

export function prefixText(prefix: Prefix): string {
  return `${ipText(prefix.family, prefix.value)}/${prefix.length}`;
}

const hostMask = (prefix: Prefix): bigint => (1n << BigInt(bits(prefix.family) - prefix.length)) - 1n;

/** The network that an interface address lies in: its host part is zero. */
export function networkOf(prefix: Prefix): Prefix {
  return { ...prefix, value: prefix.value & ~hostMask(prefix) };
}

/** Why an address can't be an interface's: it is its network's own, or the broadcast address. */
export function notAHost(prefix: Prefix): string | undefined {
  if (prefix.family === 6 ? prefix.length === 128 : prefix.length >= 31) return undefined;
  const host = prefix.value & hostMask(prefix);
  if (host === 0n && prefix.family === 4) return "the address of its whole network";
  if (prefix.family === 4 && host === hostMask(prefix)) return "its network's broadcast address";
  return undefined;
}

/** Networks, of which one asks whether another overlaps any: the time does not grow with their number. */
export class NetworkSet {
  /** The networks by family and length; the same cut to a shorter length, where that was asked for. */
  readonly #known = new Map<string, { prefix: Prefix; values: Set<bigint> }>();
  readonly #cut = new Map<string, { prefix: Prefix; values: Set<bigint> }>();

  /** Adds the network that an address with a prefix length lies in. */
  add(one: Prefix): void {
    const { value } = networkOf(one);
    const key = `${one.family}/${one.length}`;
    const same = this.#known.get(key);
    if (same === undefined) this.#known.set(key, { prefix: one, values: new Set([value]) });
    else same.values.add(value);
    for (const { prefix, values } of this.#cut.values()) {
      if (prefix.family === one.family && prefix.length < one.length) values.add(cutTo(one, prefix.length));
    }
  }

  overlaps(one: Prefix): boolean {
    for (const { prefix, values } of this.#known.values()) {
      if (prefix.family !== one.family || prefix.length > one.length) continue;
      if (values.has(cutTo(one, prefix.length))) return true;
    }
    return this.#cutTo(one).has(networkOf(one).value);
  }

  /** What is longer than `one`, cut to its length. */
  #cutTo(one: Prefix): Set<bigint> {
    const key = `${one.family}/${one.length}`;
    const there = this.#cut.get(key);
    if (there !== undefined) return there.values;
    const made = new Set<bigint>();
    for (const { prefix, values } of this.#known.values()) {
      if (prefix.family !== one.family || prefix.length <= one.length) continue;
      for (const value of values) made.add(cutTo({ ...prefix, value }, one.length));
    }
    this.#cut.set(key, { prefix: one, values: made });
    return made;
  }
}

const cutTo = (one: Prefix, length: number): bigint => networkOf({ ...one, length }).value;

/**
 * The lowest address of a network that is not taken, as an interface address; undefined when there is none. Hosts below
 * `from` are left out.
 */
export function firstFree(
  network: Prefix,
  taken: { has(address: string): boolean },
  from: bigint = 0n,
): Prefix | undefined {
  const mask = hostMask(network);
  const base = networkOf(network).value;
  const lowest = mask <= 1n ? 0n : 1n;
  for (let host = from > lowest ? from : lowest; host <= mask && host < 65536n; host++) {
    const prefix = { ...network, value: base | host };
    if (notAHost(prefix) === undefined && !taken.has(ipText(prefix.family, prefix.value))) return prefix;
  }
  return undefined;
}
