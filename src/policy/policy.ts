// SPDX-License-Identifier: MIT
import { basename } from "node:path";
import { XdpctlError } from "../errors/index.js";
import { EVENT_OFFSET, EVENT_SIZE, type LinkEvent, PACKET_EVENT_TYPES, type XdpEvent } from "../events/index.js";
import { scriptArguments } from "./arguments.js";
import type { GenericAccess } from "./genl.js";
import { GenericFeed } from "./genl-feed.js";
import { HeldMaps } from "./held-maps.js";
import { latency } from "./latency.js";
import type { PolicyMap } from "./maps.js";
import { answerProgram, type OnProgram } from "./program-request.js";
import {
  DEFAULT_LIMITS,
  type FromWorker,
  MAX_SOURCE,
  type PolicyLimits,
  type ScriptAction,
  type ScriptArguments,
} from "./messages.js";
import { type PacketAccess, PacketFeed } from "./packet-feed.js";
import { applyDelta, emptyMirror, plainState, type StateMirror } from "./mirror.js";
import { Restarts } from "./restarts.js";
import { COUNT, Shared } from "./shared.js";
import { failureError, PolicyThread } from "./thread.js";

export interface PolicyOptions {
  /** Also the owner of its rules, cut to 14 bytes. */
  name: string;
  /** Path of the script, for messages and `status`. */
  file: string;
  source: string;
  /** The words after the file: `NAME=TEXT`, `NAME=@FILE`, TEXT, @FILE. */
  args?: readonly string[];
  /** Maps of every attached program. */
  maps?: readonly PolicyMap[];
  limits?: Partial<PolicyLimits>;
  /** CPUs on which its worker is kept; all by default. */
  cpus?: readonly number[] | undefined;
  /** Records that wait for the worker at most; 65,536 by default. */
  ringRecords?: number;
  onLog?(text: string): void;
  /** An error of the script; `stopped` when its worker was ended for it (and is started again, a few times). */
  onError?(error: XdpctlError, stopped: boolean): void;
  onAction?(action: ScriptAction, text: string): void;
  /** `load(program, interface)` and `unload(interface)` of the script: what it says when it is done. */
  onProgram?: OnProgram;
  /** Generic netlink, where the script may use it. */
  generic?: GenericAccess;
  /** Where packets for its hooks come from. */
  packets?: PacketAccess;
  /** The descriptor of the program of fib.bpf.o, for `fib_lookup`, or why there is none. */
  fib?: number | string;
}

/** What `policy ls` shows. */
export interface PolicyState {
  name: string;
  file: string;
  state: "running" | "stopped" | "failed";
  hooks: string[];
  calls: number;
  /** Microseconds, of the last 1,024 calls. */
  p50: number | null;
  p99: number | null;
  lost: number;
  blocked: number;
  restarts: number;
  args: string[];
  lastError: string | null;
}

interface Waiting {
  resolve(): void;
  reject(error: XdpctlError): void;
}

function checkSource(source: string, file: string): void {
  if (Buffer.byteLength(source) > MAX_SOURCE)
    throw new XdpctlError("XDPCTL_E_LUA_SYNTAX", `${file} has more than ${MAX_SOURCE} bytes: that is no policy`);
}

/** A policy: a Lua script in a worker of its own, fed through a bounded ring. */
export class Policy implements AsyncDisposable {
  readonly name: string;
  readonly file: string;
  readonly #options: PolicyOptions;
  readonly #limits: PolicyLimits;
  readonly #shared: Shared;
  readonly #maps = new HeldMaps();
  readonly #mirror: StateMirror = emptyMirror();
  readonly #restarts = new Restarts();
  readonly #generic: GenericFeed;
  readonly #packets: PacketFeed;
  #thread: PolicyThread | undefined;
  #source: string;
  #args: ScriptArguments;
  #words: string[];
  #hooks: string[] = [];
  /** Bit n: packet events of type n are wanted. */
  #wanted = 0;
  /** Whether the last record was for this policy: then the next is likely to be, too. */
  #likely = false;
  #state: PolicyState["state"] = "running";
  #lastError: string | null = null;
  /** A load or reload that waits for the worker's word. */
  #waiting: Waiting | undefined;
  #bye: (() => void) | undefined;
  #again: NodeJS.Timeout | undefined;
  #unloaded = false;
  /** A script that never ran did not load: there is nothing to go back to. */
  #refused = false;

  private constructor(options: PolicyOptions) {
    this.#options = options;
    this.name = options.name;
    this.file = options.file;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#source = options.source;
    this.#words = [...(options.args ?? [])];
    checkSource(options.source, options.file);
    this.#args = scriptArguments(this.#words);
    this.#shared = Shared.allocate(options.ringRecords ?? 65_536);
    this.#generic = new GenericFeed({
      access: options.generic,
      send: (message, most) => this.#thread?.send(message, most),
      log: (text) => options.onLog?.(text),
      dropped: () => this.#dropped(1),
    });
    this.#packets = new PacketFeed(
      options.packets,
      () => this.#wake(),
      (count) => this.#dropped(count),
    );
  }

  #wake(): boolean {
    this.#thread?.wake();
    return this.#thread !== undefined;
  }

  /**
   * Starts a policy and runs its script once.
   * @throws XDPCTL_E_LUA_SYNTAX, XDPCTL_E_LUA_RUNTIME, XDPCTL_E_LUA_TIMEOUT, XDPCTL_E_LUA_MEMORY, XDPCTL_E_NO_FILE
   */
  static async load(options: PolicyOptions): Promise<Policy> {
    const policy = new Policy(options);
    try {
      policy.#maps.replace(options.maps ?? []);
      await policy.#untilLoaded(() => policy.#start());
      policy.#restarts.running = true;
      return policy;
    } catch (error) {
      await policy.#close();
      throw error;
    }
  }

  #untilLoaded(begin: () => void): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      this.#waiting = { resolve, reject };
      begin();
    });
  }

  #start(): void {
    this.#refused = false;
    this.#thread = new PolicyThread({
      start: {
        kind: "policy",
        name: this.name,
        file: basename(this.file),
        source: this.#source,
        args: this.#args,
        maps: this.#maps.maps,
        limits: this.#limits,
        cpus: this.#options.cpus,
        packets: this.#packets.start,
        fib: this.#options.fib,
        state: this.#mirror.root === 0 ? undefined : this.#mirror,
      },
      shared: this.#shared,
      message: (message) => this.#message(message),
      ended: (reason) => this.#ended(reason),
    });
  }

  #message(message: FromWorker): void {
    switch (message.type) {
      case "loaded":
        this.#generic.listen(message.groups);
        this.#packets.listen(message.filters);
        this.#loaded(message.hooks, message.failure === undefined ? undefined : failureError(message.failure));
        return;
      case "hooks":
        this.#generic.listen(message.groups);
        this.#packets.listen(message.filters);
        this.#setHooks(message.hooks);
        return;
      case "failure": {
        const error = failureError(message.failure);
        this.#lastError = error.message;
        // A fatal one is told when the worker is gone.
        if (message.fatal) this.#fatal = error;
        else this.#options.onError?.(error, false);
        return;
      }
      case "log":
        this.#options.onLog?.(message.text);
        return;
      case "dropped":
        this.#options.onLog?.(`(${message.lines} lines were dropped)`);
        return;
      case "action":
        this.#options.onAction?.(message.action, message.text);
        return;
      case "state":
        applyDelta(this.#mirror, message.delta);
        return;
      case "request":
        void this.#program(message);
        return;
      case "genl":
        this.#generic.answer(message);
        return;
      case "maps":
        this.#maps.confirm(message.generation);
        return;
      case "bye":
        this.#bye?.();
        return;
    }
  }

  /** The error for which the worker ends itself. */
  #fatal: XdpctlError | undefined;

  #setHooks(hooks: string[]): void {
    this.#hooks = hooks;
    this.#wanted = 0;
    for (const [type, name] of PACKET_EVENT_TYPES.entries())
      if (name !== "" && hooks.includes(name)) this.#wanted |= 1 << type;
  }

  #loaded(hooks: string[], error: XdpctlError | undefined): void {
    this.#setHooks(hooks);
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (error === undefined) {
      this.#state = "running";
      waiting?.resolve();
    } else if (waiting !== undefined) {
      if (hooks.length === 0) this.#fatal ??= error;
      // The worker's end may be told before whoever waits hears of this.
      this.#refused = !this.#restarts.running;
      waiting.reject(error);
    } else this.#fatal = error;
  }

  async #program(request: Extract<FromWorker, { type: "request" }>): Promise<void> {
    const thread = this.#thread;
    const answer = await answerProgram(request, this.#options.onProgram);
    // A worker that was started anew did not ask.
    if (thread === this.#thread) thread?.send(answer);
  }

  #ended(reason: XdpctlError | undefined): void {
    const error = this.#fatal ?? reason;
    this.#fatal = undefined;
    this.#thread = undefined;
    this.#generic.listen([]);
    this.#packets.abandon();
    this.#maps.confirm();
    this.#bye?.();
    if (this.#refused) this.#state = "failed";
    if (this.#unloaded || this.#refused || error === undefined) return;
    this.#lastError = error.message;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting !== undefined) {
      waiting.reject(error);
      // A first load that fails leaves nothing; a reload leaves the script that ran before.
      if (!this.#restarts.running) return;
    }
    this.#options.onError?.(error, true);
    this.#restart(error);
  }

  #restart(error: XdpctlError): void {
    const next = this.#restarts.next(error.code === "XDPCTL_E_LUA_MEMORY", performance.now());
    if (next.dropState) {
      this.#mirror.tables.clear();
      this.#mirror.root = 0;
      this.#options.onLog?.("it is started again without its state, which may be what fills the memory");
    }
    if (next.delayMs === undefined) {
      this.#state = "failed";
      return;
    }
    this.#state = "stopped";
    this.#again = setTimeout(() => this.#start(), next.delayMs);
  }

  /**
   * Copies records of 64 bytes (`struct event`) into the ring: `count` of them, one after the other from `offset` on.
   * What the script has no hook for is left out; what finds no room is counted as lost. Never waits.
   */
  push(src: Uint8Array, offset: number, count = 1): void {
    const wanted = this.#wanted;
    if (wanted === 0) return;
    const thread = this.#thread;
    if (thread === undefined) {
      this.#dropped(count);
      return;
    }
    if (wanted === ALL_PACKETS) {
      this.#likely = true;
      thread.push(src, offset, count);
      return;
    }
    for (let i = 0; i < count; i++) {
      const at = offset + i * EVENT_SIZE;
      this.#likely = (wanted & (1 << (src[at + EVENT_OFFSET.type] as number))) !== 0;
      if (this.#likely) thread.push(src, at, 1);
    }
  }

  /** Records are about to be read: the worker wakes up while they are, which takes longer than reading them. */
  expect(): void {
    if (this.#likely) this.#thread?.expect();
  }

  /** Tells the script of an event that is not about packets. */
  send(event: LinkEvent | XdpEvent): void {
    if (this.#thread?.send({ type: "event", event }) === false) this.#dropped(1);
  }

  #dropped(count: number): void {
    this.#shared.counts[COUNT.lost] = (this.#shared.counts[COUNT.lost] as number) + count;
  }

  /** The maps of the programs that are attached now. Their descriptors are copied: the caller's may be closed. */
  setMaps(maps: readonly PolicyMap[]): void {
    const generation = this.#maps.replace(maps);
    if (this.#thread?.send({ type: "maps", maps: this.#maps.maps, generation }) !== true) this.#maps.confirm();
  }

  /** Runs another script in its place, with the same `state`; one that fails leaves the old one running. */
  async reload(source: string, words: readonly string[] = this.#words): Promise<void> {
    checkSource(source, this.file);
    const args = scriptArguments(words);
    const before = { source: this.#source, args: this.#args, words: this.#words };
    clearTimeout(this.#again);
    if (this.#thread === undefined) this.#restarts.reset();
    const thread = this.#thread;
    this.#restarts.running = thread !== undefined;
    try {
      await this.#untilLoaded(() => {
        if (thread?.send({ type: "reload", source, args }) === true) return;
        this.#source = source;
        this.#args = args;
        this.#start();
      });
    } catch (error) {
      ({ source: this.#source, args: this.#args, words: this.#words } = before);
      if (this.#thread === undefined && thread === undefined) this.#state = "failed";
      throw error;
    }
    this.#source = source;
    this.#args = args;
    this.#words = [...words];
    this.#restarts.running = true;
    this.#lastError = null;
  }

  status(): PolicyState {
    const { counts } = this.#shared;
    const calls = counts[COUNT.calls] ?? 0;
    return {
      name: this.name,
      file: this.file,
      state: this.#state,
      hooks: [...this.#hooks],
      calls,
      ...latency(this.#shared, calls),
      lost: counts[COUNT.lost] ?? 0,
      blocked: counts[COUNT.blocked] ?? 0,
      restarts: this.#restarts.count,
      args: [...this.#words],
      lastError: this.#lastError,
    };
  }

  /** The script that runs. */
  get source(): string {
    return this.#source;
  }

  /** What the script keeps in `state`, as it was last copied out. */
  state(): Record<string, unknown> {
    return plainState(this.#mirror);
  }

  /** Runs the `exit` hooks and ends the worker. Its rules stay: `removeOwned` deletes them. */
  async unload(): Promise<void> {
    if (this.#unloaded) return;
    const thread = this.#thread;
    if (thread !== undefined) {
      const { hookMs, hardMs } = this.#limits;
      await new Promise<void>((resolve) => {
        const late = setTimeout(resolve, hookMs + hardMs);
        this.#bye = () => {
          clearTimeout(late);
          resolve();
        };
        if (!thread.send({ type: "exit" })) resolve();
      });
    }
    await this.#close();
  }

  async #close(): Promise<void> {
    this.#unloaded = true;
    this.#state = "stopped";
    clearTimeout(this.#again);
    await this.#thread?.terminate();
    this.#packets.close();
    this.#maps.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.unload();
  }
}

const ALL_PACKETS = 0b11110;
