// SPDX-License-Identifier: MIT
import { type ErrorCode, XdpctlError } from "../errors/index.js";
import { closeFd, errno, errnoText } from "../linux/index.js";
import { type Btf, type Codec, Codecs, Misfit, type Value } from "./btf/index.js";
import { kernelBtf, type MapInfo, mapInfo } from "./info.js";
import { fdById, openPinned, pinObject, possibleCpus, rawMap } from "./libbpf.js";

const BPF_ANY = 0;
const BPF_NOEXIST = 1;
const BPF_EXIST = 2;
const BATCH = 1024;
/** Their keys are indices, and all of their entries are always there. */
const ARRAYS: ReadonlySet<string> = new Set(["array", "percpu_array"]);

const btfs = new Map<number, Btf | undefined>();

/** One object's maps share a BTF; ids are not used again while the kernel runs. */
function cachedBtf(id: number): Btf | undefined {
  if (!btfs.has(id)) {
    if (btfs.size > 32) btfs.clear();
    btfs.set(id, kernelBtf(id));
  }
  return btfs.get(id);
}

const codecsOf = new WeakMap<Btf, Codecs>();

function codecs(btf: Btf): Codecs {
  let known = codecsOf.get(btf);
  if (known === undefined) {
    known = new Codecs(btf);
    codecsOf.set(btf, known);
  }
  return known;
}

/**
 * A BPF map. Keys and values are typed by BTF; without BTF they are bytes.
 *
 * Structs are objects with camelCase names; 64-bit integers are bigint; `__be16` is a number in host order, `__be32` and
 * `struct in6_addr` are addresses as text. In per-CPU maps a value is an array with one value a CPU.
 */
export class BpfMap<K = Value, V = Value> implements Disposable {
  readonly fd: number;
  readonly info: MapInfo;
  readonly #owned: boolean;
  readonly #btf: Btf | undefined;
  #types: { key: Codec | undefined; value: Codec | undefined } | undefined;
  readonly #perCpu: boolean;
  /** Bytes of a value as the system calls take it. */
  readonly #valueBytes: number;
  #closed = false;

  private constructor(fd: number, owned: boolean, btf: Btf | undefined) {
    this.fd = fd;
    this.#owned = owned;
    this.info = mapInfo(fd);
    const { valueSize } = this.info;
    this.#perCpu = this.info.type.startsWith("percpu_") || this.info.type === "lru_percpu_hash";
    this.#valueBytes = this.#perCpu ? ((valueSize + 7) & ~7) * possibleCpus() : valueSize;
    this.#btf = btf;
  }

  /** Read at the first use: most commands need the types of one map out of twenty. */
  get #codecs(): { key: Codec | undefined; value: Codec | undefined } {
    if (this.#types === undefined) {
      const { btfId, btfKeyType, btfValueType, keySize, valueSize } = this.info;
      const known = this.#btf ?? cachedBtf(btfId);
      const codec = (type: number, size: number): Codec | undefined => {
        const found = known === undefined || type === 0 ? undefined : codecs(known).of(type);
        // A layout that disagrees with the kernel's sizes must never size a buffer.
        return found?.size === size ? found : undefined;
      };
      this.#types = { key: codec(btfKeyType, keySize), value: codec(btfValueType, valueSize) };
    }
    return this.#types;
  }

  /** Wraps a descriptor; with `owned`, `close` closes it. */
  static fromFd<K = Value, V = Value>(fd: number, options: { owned?: boolean; btf?: Btf } = {}): BpfMap<K, V> {
    return new BpfMap<K, V>(fd, options.owned ?? false, options.btf);
  }

  /** Opens a map by its kernel id. Throws XDPCTL_E_NO_MAP. Needs CAP_SYS_ADMIN. */
  static fromId<K = Value, V = Value>(id: number): BpfMap<K, V> {
    const fd = fdById("map", id);
    if (fd === undefined) throw new XdpctlError("XDPCTL_E_NO_MAP", `there is no map with the id ${id}`);
    return new BpfMap<K, V>(fd, true, undefined);
  }

  /** Opens a pinned map. Throws XDPCTL_E_NO_MAP. */
  static fromPin<K = Value, V = Value>(path: string): BpfMap<K, V> {
    const fd = openPinned(path);
    if (fd === undefined) throw new XdpctlError("XDPCTL_E_NO_MAP", `no map is pinned at ${path}`);
    return new BpfMap<K, V>(fd, true, undefined);
  }

  get name(): string {
    return this.info.name;
  }

  /** Names of the key's fields; empty where it is a scalar or has no BTF. */
  get keyFields(): readonly string[] {
    return this.#codecs.key?.fields ?? [];
  }

  get valueFields(): readonly string[] {
    return this.#codecs.value?.fields ?? [];
  }

  #encode(codec: Codec | undefined, size: number, value: unknown, what: "key" | "value"): Buffer {
    const code: ErrorCode = what === "key" ? "XDPCTL_E_BAD_KEY" : "XDPCTL_E_BAD_VALUE";
    const bytes = Buffer.alloc(size);
    if (value instanceof Uint8Array && value.length === size) {
      bytes.set(value);
      return bytes;
    }
    if (codec === undefined) {
      const fromHex = typeof value === "string" ? Buffer.from(value.replace(/[ :]/g, ""), "hex") : undefined;
      if (fromHex?.length === size) return fromHex;
      throw new XdpctlError(code, `a ${what} of ${this.name} has ${size} bytes and no BTF: give them in hexadecimal`);
    }
    let given = value;
    // A struct with a single field may be written as that field.
    const only = codec.fields.length === 1 ? codec.fields[0] : undefined;
    if (only !== undefined && (typeof value !== "object" || value === null)) given = { [only]: value };
    if (what === "key" && codec.fields.length > 0 && typeof given === "object" && given !== null) {
      const have = new Set(Object.keys(given));
      const missing = codec.fields.filter((f) => !have.has(f) && !have.has(snake(f)));
      if (missing.length > 0) {
        throw new XdpctlError(code, `a key of ${this.name} needs ${missing.join(", ")} (${codec.spelling})`);
      }
    }
    try {
      codec.encode(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0, given);
    } catch (cause) {
      if (cause instanceof Misfit) throw new XdpctlError(code, `${what} of ${this.name}: ${cause.message}`);
      throw cause;
    }
    return bytes;
  }

  /** The bytes of a key. Throws XDPCTL_E_BAD_KEY. */
  encodeKey(key: K): Buffer {
    return this.#encode(this.#codecs.key, this.info.keySize, key, "key");
  }

  /** The bytes of a value as the system call takes them: per-CPU maps take one value for every CPU, or an array. */
  encodeValue(value: V): Buffer {
    if (!this.#perCpu) return this.#encode(this.#codecs.value, this.info.valueSize, value, "value");
    const out = Buffer.alloc(this.#valueBytes);
    const stride = (this.info.valueSize + 7) & ~7;
    const n = possibleCpus();
    const list: unknown[] = Array.isArray(value) ? value : new Array<unknown>(n).fill(value);
    if (list.length !== n) {
      throw new XdpctlError(
        "XDPCTL_E_BAD_VALUE",
        `a value of ${this.name} has ${n} parts, one a CPU, not ${list.length}`,
      );
    }
    for (const [i, one] of list.entries())
      out.set(this.#encode(this.#codecs.value, this.info.valueSize, one, "value"), i * stride);
    return out;
  }

  decodeKey(bytes: Uint8Array, at = 0): K {
    return this.#decode(this.#codecs.key, this.info.keySize, bytes, at) as K;
  }

  decodeValue(bytes: Uint8Array, at = 0): V {
    if (!this.#perCpu) return this.#decode(this.#codecs.value, this.info.valueSize, bytes, at) as V;
    const stride = (this.info.valueSize + 7) & ~7;
    return Array.from({ length: possibleCpus() }, (_, i) =>
      this.#decode(this.#codecs.value, this.info.valueSize, bytes, at + i * stride),
    ) as V;
  }

  #decode(codec: Codec | undefined, size: number, bytes: Uint8Array, at: number): Value {
    if (codec === undefined) return bytes.slice(at, at + size);
    return codec.decode(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), at);
  }

  #assertOpen(): void {
    if (this.#closed) throw new XdpctlError("XDPCTL_E_INTERNAL", `the map ${this.name} was used after it was closed`);
  }

  /** What the kernel would only call invalid, or full. */
  #checkKey(key: Uint8Array): void {
    const { type, keySize, maxEntries } = this.info;
    if (key.length !== keySize) {
      throw new XdpctlError("XDPCTL_E_BAD_KEY", `a key of ${this.name} has ${keySize} bytes, not ${key.length}`);
    }
    if (type !== "lpm_trie" && !ARRAYS.has(type)) return;
    const first = new DataView(key.buffer, key.byteOffset).getUint32(0, true);
    const bits = 8 * (keySize - 4);
    if (type === "lpm_trie" && first > bits) {
      throw new XdpctlError("XDPCTL_E_BAD_KEY", `a prefix of ${this.name} has 0 to ${bits} bits, not ${first}`);
    }
    if (type !== "lpm_trie" && first >= maxEntries) {
      const keys = maxEntries === 1 ? "the key 0 alone" : `the keys 0 to ${maxEntries - 1}`;
      throw new XdpctlError("XDPCTL_E_BAD_KEY", `the ${type} ${this.name} has ${keys}, not ${first}`);
    }
  }

  #fail(what: string, number: number): XdpctlError {
    const message = `${what} ${this.name}: ${errnoText(number)}`;
    if (number === errno.EPERM) {
      return new XdpctlError("XDPCTL_E_PERMISSION", `${what} ${this.name} needs CAP_BPF (or root)`, { errno: number });
    }
    if (number === errno.E2BIG || number === errno.ENOSPC) {
      return new XdpctlError(
        "XDPCTL_E_MAP_FULL",
        `the map ${this.name} is full: it holds ${this.info.maxEntries} entries`,
        { errno: number },
      );
    }
    if (number === errno.EEXIST)
      return new XdpctlError("XDPCTL_E_KEY_EXISTS", `${this.name} has that key already`, { errno: number });
    if (number === errno.ENOENT)
      return new XdpctlError("XDPCTL_E_NO_KEY", `${this.name} has no such key`, { errno: number });
    return new XdpctlError("XDPCTL_E_SYSCALL", message, { errno: number });
  }

  /** The value of a key, or undefined; in an LPM trie that of the longest prefix that covers the key. */
  get(key: K): V | undefined {
    const value = this.getBytes(this.encodeKey(key));
    return value === undefined ? undefined : this.decodeValue(value);
  }

  /** The bytes of a value, or undefined. */
  getBytes(key: Uint8Array): Buffer | undefined {
    this.#assertOpen();
    if (!ARRAYS.has(this.info.type)) this.#checkKey(key);
    const value = Buffer.alloc(this.#valueBytes);
    const result = rawMap.lookup(this.fd, key, value);
    if (result === 0) return value;
    if (-result === errno.ENOENT) return undefined;
    throw this.#fail("reading", -result);
  }

  /**
   * Writes an entry; `only: "create"` refuses an existing key (XDPCTL_E_KEY_EXISTS), `only: "replace"` a missing one
   * (XDPCTL_E_NO_KEY). Throws XDPCTL_E_MAP_FULL.
   */
  set(key: K, value: V, options: { only?: "create" | "replace" } = {}): void {
    this.setBytes(this.encodeKey(key), this.encodeValue(value), options);
  }

  setBytes(key: Uint8Array, value: Uint8Array, options: { only?: "create" | "replace" } = {}): void {
    this.#assertOpen();
    this.#checkKey(key);
    if (value.length !== this.#valueBytes) {
      const has = `${this.#valueBytes} bytes, not ${value.length}`;
      throw new XdpctlError("XDPCTL_E_BAD_VALUE", `a value of ${this.name} has ${has}`);
    }
    const flags = options.only === "create" ? BPF_NOEXIST : options.only === "replace" ? BPF_EXIST : BPF_ANY;
    const result = rawMap.update(this.fd, key, value, flags);
    if (result < 0) throw this.#fail("writing to", -result);
  }

  /** Deletes an entry; false where there was none. */
  delete(key: K): boolean {
    return this.deleteBytes(this.encodeKey(key));
  }

  deleteBytes(key: Uint8Array): boolean {
    this.#assertOpen();
    this.#checkKey(key);
    if (ARRAYS.has(this.info.type)) {
      throw new XdpctlError(
        "XDPCTL_E_NOT_SUPPORTED",
        `entries of the ${this.info.type} ${this.name} can't be deleted`,
        {
          remedy: "write a zero instead",
        },
      );
    }
    const result = rawMap.delete(this.fd, key);
    if (result === 0) return true;
    if (-result === errno.ENOENT) return false;
    throw this.#fail("deleting from", -result);
  }

  /** All entries, read in batches. Entries that change meanwhile may be seen in either state. */
  *entries(): Generator<[K, V]> {
    for (const [keys, values, n] of this.batches()) {
      for (let i = 0; i < n; i++) {
        yield [this.decodeKey(keys, i * this.info.keySize), this.decodeValue(values, i * this.#valueBytes)];
      }
    }
  }

  *keys(): Generator<K> {
    for (const [key] of this.entries()) yield key;
  }

  [Symbol.iterator](): Generator<[K, V]> {
    return this.entries();
  }

  /** How many entries it has, by counting them. */
  count(): number {
    let total = 0;
    for (const [, , n] of this.batches()) total += n;
    return total;
  }

  /**
   * Runs of entries as bytes: keys and values one after the other, and how many. The buffers are used again for the next
   * run. Batch system calls where the kernel and the type have them, one key after the other elsewhere.
   */
  *batches(): Generator<[keys: Buffer, values: Buffer, count: number]> {
    this.#assertOpen();
    const { keySize, maxEntries, type } = this.info;
    if (keySize === 0)
      throw new XdpctlError("XDPCTL_E_NOT_SUPPORTED", `a ${type} map such as ${this.name} has no entries to list`);
    const tokenSize = Math.max(keySize, 8);
    let size = Math.min(BATCH, maxEntries);
    let keys = Buffer.alloc(size * keySize);
    let values = Buffer.alloc(size * this.#valueBytes);
    const count = new Uint32Array(1);
    let from: Buffer<ArrayBuffer> | null = null;
    let next = Buffer.alloc(tokenSize);
    for (;;) {
      count[0] = size;
      const result = rawMap.lookupBatch(this.fd, from, next, keys, values, count, null);
      const n = count[0] ?? 0;
      if (result === 0 || -result === errno.ENOENT) {
        if (n > 0) yield [keys, values, n];
        if (result !== 0 || n === 0) return;
        const old: Buffer<ArrayBuffer> | null = from;
        from = next;
        next = old ?? Buffer.alloc(tokenSize);
      } else if (-result === errno.ENOSPC && size < maxEntries) {
        // One hash bucket holds more than fits: read it with a larger buffer.
        size = Math.min(size * 2, maxEntries);
        keys = Buffer.alloc(size * keySize);
        values = Buffer.alloc(size * this.#valueBytes);
      } else if (from === null) {
        yield* this.#oneByOne();
        return;
      } else throw this.#fail("listing", -result);
    }
  }

  *#oneByOne(): Generator<[Buffer, Buffer, number]> {
    let key: Uint8Array | null = null;
    for (let i = 0; i <= this.info.maxEntries; i++) {
      const next = Buffer.alloc(this.info.keySize);
      const result = rawMap.nextKey(this.fd, key, next);
      if (result < 0) {
        if (-result === errno.ENOENT) return;
        throw this.#fail("listing", -result);
      }
      const value = this.getBytes(next);
      if (value !== undefined) yield [next, value, 1];
      key = next;
    }
  }

  /** Writes many entries, in one system call where the kernel can. */
  setMany(entries: Iterable<readonly [K, V]>): void {
    const list = Array.from(entries, ([k, v]) => [this.encodeKey(k), this.encodeValue(v)] as const);
    if (list.length === 0) return;
    this.#assertOpen();
    const keys = Buffer.concat(list.map(([k]) => k));
    const values = Buffer.concat(list.map(([, v]) => v));
    const count = new Uint32Array([list.length]);
    const result = rawMap.updateBatch(this.fd, keys, values, count, null);
    if (result === 0) return;
    if (![errno.EINVAL, errno.EOPNOTSUPP, 524].includes(-result)) throw this.#fail("writing to", -result);
    for (const [k, v] of list) this.setBytes(k, v);
  }

  /** Deletes every entry; returns how many. */
  clear(): number {
    const all = Array.from(this.batches(), ([keys, , n]) => Buffer.from(keys.subarray(0, n * this.info.keySize)));
    let deleted = 0;
    for (const run of all) {
      for (let at = 0; at < run.length; at += this.info.keySize) {
        if (this.deleteBytes(run.subarray(at, at + this.info.keySize))) deleted++;
      }
    }
    return deleted;
  }

  /** Pins the map in a BPF file system. */
  pin(path: string): void {
    pinObject(this.fd, path);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#owned) closeFd(this.fd);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function snake(name: string): string {
  return name.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`);
}
