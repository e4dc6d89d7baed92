// SPDX-License-Identifier: MIT
import { rawMap } from "../bpf/index.js";
import { addressOf, errno, type Pointer } from "../linux/index.js";
import type { Entry } from "./addresses.js";
import { expired, HITS_WORD, OWNER_OFFSET, owns, PREFIX_OFFSET, RULE_SIZE } from "./owner.js";

/** Entries of one write. */
const SIZE = 128;

let supported = true;

/** The addresses of `SIZE` slots, made once: arithmetic on them for each entry would make garbage. */
function slotAddresses(buffer: Uint8Array, size: number): Pointer[] {
  const first = addressOf(buffer);
  return Array.from({ length: SIZE }, (_, i) => (first + BigInt(i * size)) as Pointer);
}

/**
 * Rules that the policy has already and writes anew, with a later end: they go to the kernel together, at the end of
 * the batch of events and each once, because a system call for each costs more than the map itself.
 */
export class RuleBatch {
  readonly map: string;
  readonly #keySize: number;
  readonly #owner: Uint8Array;
  readonly #entries = new Array<Entry | undefined>(SIZE).fill(undefined);
  readonly #keys: Uint8Array;
  readonly #keyWords: Uint32Array;
  readonly #values = new Uint8Array(SIZE * RULE_SIZE);
  readonly #words = new Uint32Array(this.#values.buffer);
  // Over 64 bytes, so that V8 never moves it.
  readonly #found = new Uint8Array(128);
  readonly #foundWords = new Uint32Array(this.#found.buffer);
  readonly #keyAddresses: Pointer[];
  readonly #valueAddresses = slotAddresses(this.#values, RULE_SIZE);
  readonly #foundAddress = addressOf(this.#found);
  /** Slots that hold somebody else's block in the map that is being written. */
  readonly #taken = new Uint8Array(SIZE);
  readonly #count = new Uint32Array(32);
  #n = 0;

  constructor(map: string, addressBytes: number, owner: Uint8Array) {
    this.map = map;
    this.#keySize = 4 + addressBytes;
    this.#owner = owner;
    this.#keys = new Uint8Array(SIZE * this.#keySize);
    this.#keyWords = new Uint32Array(this.#keys.buffer);
    this.#keyAddresses = slotAddresses(this.#keys, this.#keySize);
    for (let i = 0; i < SIZE; i++) this.#values.set(owner, i * RULE_SIZE + OWNER_OFFSET);
  }

  get empty(): boolean {
    return this.#n === 0;
  }

  /** Adds an entry, or gives one that waits already its new end; true where the batch is full now. */
  add(entry: Entry, expiresNs: number): boolean {
    let i = entry.waiting;
    if (i < 0) {
      i = this.#n++;
      entry.waiting = i;
      this.#entries[i] = entry;
      const { bytes, prefixLen } = entry.cidr;
      const at = i * this.#keySize;
      this.#keyWords[at >>> 2] = prefixLen;
      for (let j = 0; j < bytes.length; j++) this.#keys[at + 4 + j] = bytes[j] as number;
      this.#values[i * RULE_SIZE + PREFIX_OFFSET] = prefixLen;
    }
    const high = Math.floor(expiresNs / 4294967296);
    this.#words[i * (RULE_SIZE / 4)] = expiresNs - high * 4294967296;
    this.#words[i * (RULE_SIZE / 4) + 1] = high;
    return this.#n === SIZE;
  }

  /** Writes what there is into each map; returns the positive errno of the last that failed, or 0. */
  flush(fds: readonly number[]): number {
    const n = this.#n;
    this.#n = 0;
    for (let i = 0; i < n; i++) {
      (this.#entries[i] as Entry).waiting = -1;
      this.#entries[i] = undefined;
    }
    let failed = 0;
    for (const fd of fds) {
      const free = this.#carryOver(fd, n);
      let done = 0;
      if (supported && free) {
        this.#count[0] = n;
        const result = rawMap.updateBatch(fd, this.#keys, this.#values, this.#count, null);
        if (result === 0) continue;
        // 524 is ENOTSUPP, which only the kernel knows.
        if ([errno.EINVAL, errno.EOPNOTSUPP, 524].includes(-result)) supported = false;
        else {
          failed = -result;
          done = (this.#count[0] ?? 0) + 1;
        }
      }
      for (; done < n; done++) {
        if (this.#taken[done] === 1) continue;
        const result = rawMap.update(fd, this.#keyAddresses[done] as Pointer, this.#valueAddresses[done] as Pointer, 0);
        if (result !== 0) failed = -result;
      }
    }
    return failed;
  }

  /** Takes each entry's hits over from the map, as late as can be; false where somebody else has one of the blocks. */
  #carryOver(fd: number, n: number): boolean {
    const [found, words] = [this.#found, this.#words];
    let free = true;
    for (let i = 0; i < n; i++) {
      const at = i * (RULE_SIZE / 4) + HITS_WORD;
      words[at] = 0;
      words[at + 1] = 0;
      this.#taken[i] = 0;
      if (rawMap.lookup(fd, this.#keyAddresses[i] as Pointer, this.#foundAddress) !== 0) continue;
      // The lookup finds shorter prefixes, too.
      if (found[PREFIX_OFFSET] !== this.#values[i * RULE_SIZE + PREFIX_OFFSET]) continue;
      if (owns(this.#owner, found)) {
        words[at] = this.#foundWords[HITS_WORD] as number;
        words[at + 1] = this.#foundWords[HITS_WORD + 1] as number;
      } else if (!expired(this.#foundWords)) {
        this.#taken[i] = 1;
        free = false;
      }
    }
    return free;
  }
}
