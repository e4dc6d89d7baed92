// SPDX-License-Identifier: MIT
import { rawMap } from "../bpf/index.js";
import { errno } from "../linux/index.js";
import { OWNER_OFFSET } from "./owner.js";

/** Entries of one write. */
const SIZE = 128;
const VALUE = 32;

let supported = true;

/**
 * Rules that the policy has already and writes anew, with a later end: they go to the kernel together, at the end of
 * the batch of events, because a system call for each costs more than the map itself.
 */
export class RuleBatch {
  readonly map: string;
  readonly #keySize: number;
  readonly #keys: Uint8Array;
  readonly #keyWords: Uint32Array;
  readonly #values: Uint8Array;
  readonly #words: Uint32Array;
  readonly #count = new Uint32Array(32);
  #n = 0;

  constructor(map: string, addressBytes: number, owner: Uint8Array) {
    this.map = map;
    this.#keySize = 4 + addressBytes;
    this.#keys = new Uint8Array(SIZE * this.#keySize);
    this.#keyWords = new Uint32Array(this.#keys.buffer);
    this.#values = new Uint8Array(SIZE * VALUE);
    this.#words = new Uint32Array(this.#values.buffer);
    for (let i = 0; i < SIZE; i++) this.#values.set(owner, i * VALUE + OWNER_OFFSET);
  }

  get empty(): boolean {
    return this.#n === 0;
  }

  /** Adds an entry; true where the batch is full now. */
  add(bytes: Uint8Array, prefixLen: number, expiresNs: number): boolean {
    const i = this.#n++;
    const at = i * this.#keySize;
    this.#keyWords[at >>> 2] = prefixLen;
    for (let j = 0; j < bytes.length; j++) this.#keys[at + 4 + j] = bytes[j] as number;
    const high = Math.floor(expiresNs / 4294967296);
    this.#words[i * (VALUE / 4)] = expiresNs - high * 4294967296;
    this.#words[i * (VALUE / 4) + 1] = high;
    return this.#n === SIZE;
  }

  /** Writes what there is into each map; returns the positive errno of the last that failed, or 0. */
  flush(fds: readonly number[]): number {
    const n = this.#n;
    this.#n = 0;
    let failed = 0;
    for (const fd of fds) {
      let done = 0;
      if (supported) {
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
        const key = this.#keys.subarray(done * this.#keySize, (done + 1) * this.#keySize);
        const result = rawMap.update(fd, key, this.#values.subarray(done * VALUE, (done + 1) * VALUE), 0);
        if (result !== 0) failed = -result;
      }
    }
    return failed;
  }
}
