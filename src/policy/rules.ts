// SPDX-License-Identifier: MIT
import { libbpf, rawMap } from "../bpf/index.js";
import { XdpctlError } from "../errors/index.js";
import { addressOf, errno, errnoText, type Pointer } from "../linux/index.js";
import { type Cidr, formatCidr } from "../packet/index.js";
import type { Block, Entry } from "./addresses.js";
import type { Maps } from "./maps.js";
import { expired, HITS_WORD, OWNER_OFFSET, ownerBytes, owns, PREFIX_OFFSET } from "./owner.js";
import { RuleBatch } from "./rule-batch.js";

export type Action = "deny" | "allow" | "limit";

/** The guard's maps. */
const NAMES = {
  deny: { 4: "deny_v4", 6: "deny_v6" },
  allow: { 4: "allow_v4", 6: "allow_v6" },
  limit: { 4: "limit_v4", 6: "limit_v6" },
} as const;

const ANY = 0;
const NOEXIST = 1;
const EXIST = 2;
/** Entries that are written again when a guard comes; the oldest go first. */
const KEEP = 65_536;

type Update = (fd: number, key: Pointer, value: Pointer, flags: number) => number;

/** Buffers for one family of keys; over 64 bytes, so that V8 never moves them, and their addresses hold. */
class Slots {
  readonly key = new Uint8Array(128);
  readonly value = new Uint8Array(128);
  readonly found = new Uint8Array(128);
  readonly keyWords = new Uint32Array(this.key.buffer);
  readonly words = new Uint32Array(this.value.buffer);
  readonly foundWords = new Uint32Array(this.found.buffer);
  readonly keyAddress = addressOf(this.key);
  readonly valueAddress = addressOf(this.value);

  constructor(owner: Uint8Array) {
    this.value.set(owner, OWNER_OFFSET);
  }
}

/**
 * Writes a policy's rules straight into the maps of every guard. Rules of people and of other policies are left alone.
 * What was written is kept, and written again into the maps of a guard that comes later.
 */
export class RuleWriter {
  readonly #maps: Maps;
  readonly #owner: Uint8Array;
  readonly #v4: Slots;
  readonly #v6: Slots;
  readonly #written: Record<Action, Map<string, Entry>> = { deny: new Map(), allow: new Map(), limit: new Map() };
  readonly #again: Record<"deny" | "allow", Record<4 | 6, RuleBatch>>;
  #pending = false;
  #fds: Record<string, number[]> = {};
  #call: Update | undefined;
  /** CLOCK_MONOTONIC minus performance.now(), ns. */
  readonly #offsetNs = Number(process.hrtime.bigint()) - performance.now() * 1e6;

  constructor(maps: Maps, name: string) {
    this.#maps = maps;
    this.#owner = ownerBytes(name);
    this.#v4 = new Slots(this.#owner);
    this.#v6 = new Slots(this.#owner);
    const batches = (action: "deny" | "allow"): Record<4 | 6, RuleBatch> => ({
      4: new RuleBatch(NAMES[action][4], 4, this.#owner),
      6: new RuleBatch(NAMES[action][6], 16, this.#owner),
    });
    this.#again = { deny: batches("deny"), allow: batches("allow") };
  }

  /** After `Maps.set`: takes the new maps, and writes what still holds into those that are new. */
  refresh(): void {
    this.flush();
    const before = this.#fds;
    this.#fds = {};
    for (const action of ["deny", "allow", "limit"] as const) {
      for (const family of [4, 6] as const) {
        const name = NAMES[action][family];
        this.#fds[name] = this.#maps.fds(name);
      }
      const now = performance.now();
      for (const [text, entry] of this.#written[action]) {
        if (entry.until <= now) {
          this.#written[action].delete(text);
          continue;
        }
        const name = NAMES[action][entry.cidr.family];
        const fresh = (this.#fds[name] ?? []).filter((fd) => !before[name]?.includes(fd));
        if (fresh.length > 0) this.#write(action, entry, fresh);
      }
    }
  }

  /** Monotonic time in ns of a moment of performance.now(). */
  monotonicNs(now: number): number {
    return now * 1e6 + this.#offsetNs;
  }

  /**
   * Denies or allows a block for `seconds` (0: for good). Returns whether this is new: false where the policy had that
   * entry, or someone else has one. Throws XDPCTL_E_MAP_FULL, XDPCTL_E_SYSCALL.
   */
  put(action: "deny" | "allow", block: Block, seconds: number, now: number): boolean {
    const until = seconds === 0 ? Number.POSITIVE_INFINITY : now + seconds * 1000;
    const entry = block[action];
    if (entry?.live && entry.until > now) {
      // Ours, and in force: it is enough that the new end is written before the worker sleeps.
      entry.until = until;
      const expires = until === Number.POSITIVE_INFINITY ? 0 : this.monotonicNs(until);
      this.#pending = true;
      if (this.#again[action][block.family].add(entry, expires)) this.flush();
      return false;
    }
    const [added, isNew] = this.#add(action, { cidr: block, until, live: true, waiting: -1, rate: 0, burst: 0 }, now);
    block[action] = added;
    return isNew;
  }

  /** Writes what waits: at the end of every batch of calls. Throws XDPCTL_E_MAP_FULL, XDPCTL_E_SYSCALL. */
  flush(): void {
    if (!this.#pending) return;
    this.#pending = false;
    for (const { 4: v4, 6: v6 } of [this.#again.deny, this.#again.allow]) {
      for (const batch of [v4, v6]) {
        if (batch.empty) continue;
        const failed = batch.flush(this.#fds[batch.map] ?? []);
        if (failed !== 0) throw failure(batch.map, undefined, failed);
      }
    }
  }

  /** Limits each source of a block to `rate` packets a second. */
  limit(cidr: Cidr, rate: number, burst: number, seconds: number, now: number): boolean {
    const until = seconds === 0 ? Number.POSITIVE_INFINITY : now + seconds * 1000;
    return this.#add("limit", { cidr, until, live: true, waiting: -1, rate, burst }, now)[1];
  }

  /** Writes an entry; returns it where it is ours, and whether it was not there before. */
  #add(action: Action, entry: Entry, now: number): [Entry | undefined, boolean] {
    const fds = this.#fds[NAMES[action][entry.cidr.family]] ?? [];
    // First of all, for a packet may be waiting for it.
    if (!this.#write(action, entry, fds)) return [undefined, false];
    const written = this.#written[action];
    const text = formatCidr(entry.cidr);
    const before = written.get(text);
    if (before !== undefined && before.waiting >= 0) {
      // What waits is older than this.
      this.flush();
      this.#write(action, entry, fds);
    }
    const known = before?.live === true && before.until > now;
    if (before !== undefined) before.live = false;
    written.delete(text);
    written.set(text, entry);
    if (written.size > KEEP) {
      const oldest = written.keys().next().value;
      if (oldest !== undefined) written.delete(oldest);
    }
    return [entry, !known];
  }

  /** Writes into each map unless somebody else has that block there; whether it is ours in every map. */
  #write(action: Action, entry: Entry, fds: readonly number[]): boolean {
    let ours = true;
    for (const fd of fds) {
      if (this.#update(action, entry, fd, NOEXIST, false)) continue;
      const slots = entry.cidr.family === 4 ? this.#v4 : this.#v6;
      // The lookup finds the block itself: no longer prefix can match its key. Where it was deleted meanwhile, it finds
      // a shorter one, or nothing.
      const found =
        rawMap.lookup(fd, slots.key, slots.found) === 0 && slots.found[PREFIX_OFFSET] === entry.cidr.prefixLen;
      if (found && !this.#mayReplace(slots)) ours = false;
      else this.#update(action, entry, fd, ANY, found && owns(this.#owner, slots.found));
    }
    return ours;
  }

  /** Our own entries, and those that have expired. */
  #mayReplace({ found, foundWords }: Slots): boolean {
    return owns(this.#owner, found) || expired(foundWords);
  }

  #fillKey(cidr: Cidr): Slots {
    const slots = cidr.family === 4 ? this.#v4 : this.#v6;
    slots.keyWords[0] = cidr.prefixLen;
    slots.value[PREFIX_OFFSET] = cidr.prefixLen;
    const { bytes } = cidr;
    for (let i = 0; i < bytes.length; i++) slots.key[4 + i] = bytes[i] as number;
    return slots;
  }

  /** False where `flags` is NOEXIST and the entry exists. With `again`, the hits that were found are kept. */
  #update(action: Action, entry: Entry, fd: number, flags: number, again: boolean): boolean {
    const { cidr, until, rate, burst } = entry;
    const slots = this.#fillKey(cidr);
    const expires = until === Number.POSITIVE_INFINITY ? 0 : this.monotonicNs(until);
    const { words, foundWords } = slots;
    words[0] = expires % 4294967296;
    words[1] = expires / 4294967296;
    words[HITS_WORD] = again ? (foundWords[HITS_WORD] as number) : 0;
    words[HITS_WORD + 1] = again ? (foundWords[HITS_WORD + 1] as number) : 0;
    words[8] = rate;
    words[9] = burst;
    this.#call ??= libbpf.func("int bpf_map_update_elem(int, const void *, const void *, uint64_t)") as Update;
    const result = this.#call(fd, slots.keyAddress, slots.valueAddress, flags);
    if (result === 0) return true;
    if (-result === errno.EEXIST) return false;
    throw failure(NAMES[action][cidr.family], cidr, -result);
  }

  /** Takes an entry of this policy back; false where it has none. */
  remove(action: Action, cidr: Cidr): boolean {
    this.flush();
    const text = formatCidr(cidr);
    const entry = this.#written[action].get(text);
    this.#written[action].delete(text);
    if (entry !== undefined) entry.live = false;
    let removed = entry !== undefined;
    const slots = this.#fillKey(cidr);
    for (const fd of this.#fds[NAMES[action][cidr.family]] ?? []) {
      if (rawMap.lookup(fd, slots.key, slots.found) !== 0 || !this.#mayReplace(slots)) continue;
      // A lookup finds shorter prefixes, too: only an entry that exists can be written as it is.
      if (rawMap.update(fd, slots.key, slots.found, EXIST) === 0)
        removed = rawMap.delete(fd, slots.key) === 0 || removed;
    }
    return removed;
  }
}

function failure(map: string, cidr: Cidr | undefined, number: number): XdpctlError {
  const what = cidr === undefined ? "entries" : formatCidr(cidr);
  if (number === errno.ENOSPC || number === errno.E2BIG)
    return new XdpctlError("XDPCTL_E_MAP_FULL", `the map ${map} is full: ${what} can't be written`);
  return new XdpctlError("XDPCTL_E_SYSCALL", `writing ${what} to ${map}: ${errnoText(number)}`, { errno: number });
}
