// SPDX-License-Identifier: MIT
import { basename } from "node:path";
import { XdpctlError } from "../errors/index.js";
import { addressOf, dupFd, errnoText, needCapabilities, type Pointer, readBounded } from "../linux/index.js";
import { Btf, type Value } from "./btf/index.js";
import { type ElfSymbol, MAX_OBJECT, readElf, readSymbols, type Section } from "./elf.js";
import { MAP_TYPES } from "./info.js";
import { libbpf, libbpfErrno } from "./libbpf.js";
import { explain } from "./load-error.js";
import { BpfMap } from "./map.js";
import { capturePrint, silence } from "./print.js";
import { probeObject } from "./probe.js";
import { BpfProgram } from "./program.js";
import { RecordStream, recordType } from "./records.js";
import { setVariables } from "./variables.js";

const OPEN_OPTS_SIZE = 80;
const LOG_SIZE = 16 << 20;

const fn = {
  openMem: (b: Uint8Array, n: number, o: Uint8Array): bigint | null =>
    libbpf.func("void *bpf_object__open_mem(const void *, size_t, const void *)")(b, n, o) as bigint | null,
  load: (o: Pointer): number => libbpf.func("int bpf_object__load(void *)")(o) as number,
  close: (o: Pointer): unknown => libbpf.func("void bpf_object__close(void *)")(o) as unknown,
  nextMap: (o: Pointer, m: Pointer | null): Pointer | null =>
    libbpf.func("void *bpf_object__next_map(const void *, const void *)")(o, m) as Pointer | null,
  nextProgram: (o: Pointer, p: Pointer | null): Pointer | null =>
    libbpf.func("void *bpf_object__next_program(const void *, void *)")(o, p) as Pointer | null,
  mapName: (m: Pointer): string => libbpf.func("const char *bpf_map__name(const void *)")(m) as string,
  mapFd: (m: Pointer): number => libbpf.func("int bpf_map__fd(const void *)")(m) as number,
  reuseFd: (m: Pointer, fd: number): number => libbpf.func("int bpf_map__reuse_fd(void *, int)")(m, fd) as number,
  setMaxEntries: (m: Pointer, n: number): number =>
    libbpf.func("int bpf_map__set_max_entries(void *, uint32_t)")(m, n) as number,
  mapType: (m: Pointer): number => libbpf.func("int bpf_map__type(const void *)")(m) as number,
  keySize: (m: Pointer): number => libbpf.func("uint32_t bpf_map__key_size(const void *)")(m) as number,
  valueSize: (m: Pointer): number => libbpf.func("uint32_t bpf_map__value_size(const void *)")(m) as number,
  programName: (p: Pointer): string => libbpf.func("const char *bpf_program__name(const void *)")(p) as string,
  programSection: (p: Pointer): string =>
    libbpf.func("const char *bpf_program__section_name(const void *)")(p) as string,
  programFd: (p: Pointer): number => libbpf.func("int bpf_program__fd(const void *)")(p) as number,
  setAttachTarget: (p: Pointer, fd: number, name: string): number =>
    libbpf.func("int bpf_program__set_attach_target(void *, int, const char *)")(p, fd, name) as number,
  setAutoload: (p: Pointer, on: boolean): number =>
    libbpf.func("int bpf_program__set_autoload(void *, bool)")(p, on) as number,
};

function* each(object: Pointer, next: (o: Pointer, at: Pointer | null) => Pointer | null): Generator<Pointer> {
  for (let at = next(object, null); at !== null && at !== (0n as Pointer); at = next(object, at)) yield at;
}

/** What an object file says, read without the kernel: the same file gives the same spec on any machine. */
export interface ObjectSpec {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly sections: readonly Section[];
  readonly symbols: readonly ElfSymbol[];
  readonly btf: Btf | undefined;
  /** Names of the functions in program sections, with their section. */
  readonly programs: readonly { name: string; section: string }[];
  /** Names of the maps in `.maps`. */
  readonly maps: readonly string[];
}

/** Parses an object file. Throws XDPCTL_E_NO_OBJECT and XDPCTL_E_BAD_OBJECT. */
export function readObjectSpec(source: string | Uint8Array, name?: string): ObjectSpec {
  const label = name ?? (typeof source === "string" ? basename(source) : "the object");
  const bytes = typeof source === "string" ? readObjectFile(source) : source;
  const sections = readElf(bytes, label);
  const btfSection = sections.find((s) => s.name === ".BTF");
  const btf = btfSection === undefined ? undefined : Btf.parse(btfSection.data);
  const symbols = readSymbols(sections);
  const programs = symbols
    .filter((symbol) => symbol.kind === "function" && symbol.section !== ".text")
    .map(({ name: text, section }) => ({ name: text, section }));
  const mapSection = btf?.find("datasec", ".maps");
  const maps = mapSection?.kind === "datasec" ? mapSection.variables.map((v) => btf?.get(v.type).name ?? "") : [];
  return { name: label, bytes, sections, symbols, btf, programs, maps };
}

function readObjectFile(path: string): Uint8Array {
  try {
    return readBounded(path, MAX_OBJECT);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? "EIO";
    const shown = path.replaceAll("\n", "\\n");
    if (code === "ENOENT") throw new XdpctlError("XDPCTL_E_NO_OBJECT", `there is no file ${shown}`, { cause });
    throw new XdpctlError("XDPCTL_E_NO_OBJECT", `${shown} can't be read (${code})`, { cause });
  }
}

export interface LoadOptions {
  /** Values for `const volatile` (and other global) variables, by name, set before the verifier sees the program. */
  variables?: Record<string, Value>;
  /** `max_entries` of maps, by name; bytes for ring buffers. */
  maxEntries?: Record<string, number>;
  /** Maps to use instead of new ones, by name. Throws XDPCTL_E_LAYOUT where the layouts differ. */
  reuse?: Record<string, BpfMap>;
  /** Loads only these programs; all by default. */
  programs?: readonly string[];
  /** The file came with xdpctl: it is not opened in a child first. */
  trusted?: boolean;
  /** Tracing programs: the program, and its function by the whole name, at whose beginning or end they run. */
  traces?: { program: BpfProgram; function: string };
  /** Keeps the verifier's log even when all goes well: `object.log`. */
  log?: boolean;
  /**
   * The struct that a ring buffer's records are, by the map's name. By default the one that is called like the map, or
   * like one of it: `struct event` for `events`.
   */
  records?: Record<string, string>;
  /** Records of each ring buffer that may wait for their reader; 65,536 by default. */
  recordQueue?: number;
}

/** What a program's generated types name: its programs, its maps, and the records of its ring buffers. */
export interface ObjectTypes {
  programs: Record<string, BpfProgram>;
  maps: Record<string, BpfMap>;
  events?: Record<string, unknown>;
}

/** An object of which nothing is known at compile time. */
export interface AnyObject extends ObjectTypes {
  events: Record<string, Value>;
}

type EventsOf<T extends ObjectTypes> = NonNullable<T["events"]>;

/**
 * A loaded object: its programs and maps live until `close`, and longer where a link, a pin or another process holds them.
 *
 * Untrusted files are validated first and then opened in a child process, because libbpf 1.1 crashes on damaged ones.
 * Minimum kernel: 5.8 for ring buffers, 5.9 for links.
 */
export class BpfObject<T extends ObjectTypes = AnyObject> implements Disposable, AsyncDisposable {
  readonly spec: ObjectSpec;
  readonly programs: T["programs"];
  readonly maps: T["maps"];
  /** The ring buffers, each to be read by `for await`: `for await (const event of object.events.events)`. */
  readonly events: { readonly [N in keyof EventsOf<T>]: RecordStream<EventsOf<T>[N]> };
  /** The verifier's log, where it was asked for. */
  readonly log: string | undefined;
  readonly #streams: Record<string, RecordStream>;

  private constructor(
    spec: ObjectSpec,
    programs: Record<string, BpfProgram>,
    maps: Record<string, BpfMap>,
    events: Record<string, RecordStream>,
    log: string | undefined,
  ) {
    this.spec = spec;
    this.programs = programs as T["programs"];
    this.maps = maps as T["maps"];
    this.#streams = events;
    this.events = events as unknown as this["events"];
    this.log = log;
  }

  /**
   * Opens and loads an object file.
   *
   * Throws XDPCTL_E_NO_OBJECT, XDPCTL_E_BAD_OBJECT, XDPCTL_E_VERIFIER (with a one-line summary and the whole log in
   * `log`), XDPCTL_E_LOAD, XDPCTL_E_LAYOUT, XDPCTL_E_PERMISSION.
   */
  static async load<T extends ObjectTypes = AnyObject>(
    source: string | Uint8Array | ObjectSpec,
    options: LoadOptions = {},
  ): Promise<BpfObject<T>> {
    const spec = typeof source === "string" || source instanceof Uint8Array ? readObjectSpec(source) : source;
    needCapabilities("loading a program", "CAP_BPF", "CAP_NET_ADMIN");
    if (options.trusted !== true) await probeObject(spec);
    return BpfObject.loadSpec<T>(spec, options);
  }

  /** Loads a spec that is known to be safe to open in this process. */
  static loadSpec<T extends ObjectTypes = AnyObject>(spec: ObjectSpec, options: LoadOptions = {}): BpfObject<T> {
    if (spec.programs.length === 0) {
      throw new XdpctlError("XDPCTL_E_BAD_OBJECT", `${spec.name} holds no BPF program`);
    }
    silence();
    if (options.log !== true) {
      try {
        return attempt<T>(spec, options, undefined);
      } catch (error) {
        if (!XdpctlError.is(error, "XDPCTL_E_LOAD")) throw error;
      }
    }
    // Only a load that fails, or whose log is wanted, pays for it.
    const { result, lines } = capturePrint(() => {
      try {
        return { object: attempt<T>(spec, options, Buffer.alloc(LOG_SIZE)) };
      } catch (error) {
        return { error };
      }
    });
    if (result.object !== undefined) return result.object;
    const error = XdpctlError.wrap(result.error);
    if (error.code !== "XDPCTL_E_LOAD") throw error;
    throw explain(error, lines);
  }

  /** @internal */
  static make<T extends ObjectTypes>(
    spec: ObjectSpec,
    programs: Record<string, BpfProgram>,
    maps: Record<string, BpfMap>,
    events: Record<string, RecordStream>,
    log: string | undefined,
  ): BpfObject<T> {
    return new BpfObject<T>(spec, programs, maps, events, log);
  }

  /** Lets go of all; who reads a ring buffer is told that it ended. */
  close(): void {
    for (const stream of Object.values(this.#streams)) stream.close();
    for (const program of Object.values(this.programs)) program.close();
    for (const map of Object.values(this.maps)) map.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }
}

function attempt<T extends ObjectTypes>(spec: ObjectSpec, options: LoadOptions, log: Buffer | undefined): BpfObject<T> {
  const opts = Buffer.alloc(OPEN_OPTS_SIZE);
  const objectName = Buffer.from(`${spec.name.replace(/\.bpf\.o$|\.o$/, "").slice(0, 60)}\0`);
  opts.writeBigUInt64LE(BigInt(OPEN_OPTS_SIZE), 0);
  opts.writeBigUInt64LE(addressOf(objectName), 8);
  if (log !== undefined) {
    opts.writeBigUInt64LE(addressOf(log), 56);
    opts.writeBigUInt64LE(BigInt(log.length), 64);
    opts.writeUInt32LE(1, 72);
  }
  const handle = fn.openMem(spec.bytes, spec.bytes.length, opts);
  if (handle === null || handle === 0n) {
    throw new XdpctlError("XDPCTL_E_BAD_OBJECT", `libbpf can't open ${spec.name}: ${errnoText(libbpfErrno())}`);
  }
  const object = handle as Pointer;
  const programs: Record<string, BpfProgram> = {};
  const maps: Record<string, BpfMap> = {};
  try {
    prepare(object, spec, options);
    const result = fn.load(object);
    const text = log === undefined ? undefined : log.toString("utf8", 0, Math.max(0, log.indexOf(0)));
    if (result < 0) {
      throw new XdpctlError("XDPCTL_E_LOAD", `loading ${spec.name}: ${errnoText(-result)}`, {
        errno: -result,
        ...(text === undefined || text === "" ? {} : { log: text }),
      });
    }
    // The descriptors outlive libbpf's object: keeping it would keep a copy of the file and its BTF.
    for (const map of each(object, fn.nextMap)) {
      const name = fn.mapName(map);
      const fd = fn.mapFd(map);
      if (fd >= 0) maps[shortName(name)] = BpfMap.fromFd(dupFd(fd), { owned: true });
    }
    for (const program of each(object, fn.nextProgram)) {
      const fd = fn.programFd(program);
      const name = fn.programName(program);
      if (fd >= 0) programs[name] = BpfProgram.fromFd(dupFd(fd), { name, owned: true });
    }
    return BpfObject.make<T>(spec, programs, maps, streams(spec, maps, options), text);
  } catch (error) {
    for (const held of [...Object.values(programs), ...Object.values(maps)]) held.close();
    throw error;
  } finally {
    fn.close(object);
  }
}

function streams(spec: ObjectSpec, maps: Record<string, BpfMap>, options: LoadOptions): Record<string, RecordStream> {
  const { records = {}, recordQueue } = options;
  for (const name of Object.keys(records)) {
    if (maps[name]?.info.type === "ringbuf") continue;
    throw new XdpctlError("XDPCTL_E_NO_MAP", `${spec.name} has no ring buffer ${name}`);
  }
  const rings = Object.entries(maps).filter(([, map]) => map.info.type === "ringbuf");
  return Object.fromEntries(
    rings.map(([name, map]) => [name, new RecordStream(map, recordType(spec.btf, name, records[name]), recordQueue)]),
  );
}

/** libbpf calls the data sections `guard.rodata`; here they are `.rodata`. */
function shortName(name: string): string {
  const match = /\.(rodata|data|bss|kconfig)(\..*)?$/.exec(name);
  return match === null ? name : name.slice(match.index);
}

function prepare(object: Pointer, spec: ObjectSpec, options: LoadOptions): void {
  const maps = new Map(Array.from(each(object, fn.nextMap), (m) => [shortName(fn.mapName(m)), m]));
  const need = (name: string): Pointer => {
    const map = maps.get(name);
    if (map === undefined) throw new XdpctlError("XDPCTL_E_NO_MAP", `${spec.name} has no map ${name}`);
    return map;
  };
  for (const [name, entries] of Object.entries(options.maxEntries ?? {})) {
    const result = fn.setMaxEntries(need(name), entries);
    if (result < 0) throw new XdpctlError("XDPCTL_E_LOAD", `max_entries of ${name}: ${errnoText(-result)}`);
  }
  for (const [name, map] of Object.entries(options.reuse ?? {})) {
    const wanted = need(name);
    // libbpf takes over whatever it is given: the program would then be verified against the other layout.
    const { type, keySize, valueSize } = map.info;
    const same =
      MAP_TYPES[fn.mapType(wanted)] === type && fn.keySize(wanted) === keySize && fn.valueSize(wanted) === valueSize;
    if (!same) {
      const has = `${MAP_TYPES[fn.mapType(wanted)]} with ${fn.keySize(wanted)} + ${fn.valueSize(wanted)} bytes`;
      throw new XdpctlError(
        "XDPCTL_E_LAYOUT",
        `the map ${name} is a ${type} with ${keySize} + ${valueSize} bytes; ${spec.name} has a ${has}`,
      );
    }
    const result = fn.reuseFd(wanted, map.fd);
    if (result < 0) throw new XdpctlError("XDPCTL_E_LAYOUT", `reusing the map ${name}: ${errnoText(-result)}`);
  }
  if (options.variables !== undefined) setVariables(maps, spec, options.variables);
  if (options.programs === undefined) return;
  const left = new Set(options.programs);
  for (const program of each(object, fn.nextProgram)) {
    const name = fn.programName(program);
    if (!left.delete(name)) fn.setAutoload(program, false);
    else if (options.traces !== undefined) {
      const result = fn.setAttachTarget(program, options.traces.program.fd, options.traces.function);
      if (result < 0) {
        const target = `${options.traces.function} of ${options.traces.program.name}`;
        throw new XdpctlError("XDPCTL_E_LOAD", `tracing ${target}: ${errnoText(-result)}`, { errno: -result });
      }
    }
  }
  for (const name of left) throw new XdpctlError("XDPCTL_E_NO_PROGRAM", `${spec.name} has no program ${name}`);
}
