// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import type { LinkEvent, XdpEvent } from "../events/index.js";
import type { GenericAccess } from "./genl.js";
import { GenericFeed } from "./genl-feed.js";
import { HeldMaps } from "./held-maps.js";
import type { PolicyMap } from "./maps.js";
import { answerProgram, type OnProgram } from "./program-request.js";
import { DEFAULT_LIMITS, type FromWorker, type PolicyLimits, type ScriptAction } from "./messages.js";
import { applyDelta, emptyMirror } from "./mirror.js";
import { type PacketAccess, PacketFeed } from "./packet-feed.js";
import { Shared } from "./shared.js";
import { failureError, PolicyThread } from "./thread.js";

export interface InteractiveOptions {
  /** Owner of the rules that are written here; none by default: a person's. */
  name?: string;
  maps?: readonly PolicyMap[];
  limits?: Partial<PolicyLimits>;
  /** Lines that timers and hooks print while nothing else runs. */
  onLog?(text: string): void;
  onError?(error: XdpctlError): void;
  onAction?(action: ScriptAction, text: string): void;
  onProgram?: OnProgram;
  /** Generic netlink, where it may be used. */
  generic?: GenericAccess;
  /** Where packets for hooks come from, where there are any. */
  packets?: PacketAccess;
  /** As for a policy. */
  fib?: number | string;
}

/** What a chunk printed, and its values as text. */
export interface RunResult {
  output: string[];
  values: string[];
}

interface Run {
  resolve(result: RunResult): void;
  reject(error: XdpctlError): void;
}

/** The REPL's Lua: the sandbox of policies, one chunk after the other. Starts its worker at the first chunk. */
export class Interactive implements AsyncDisposable {
  readonly #options: InteractiveOptions;
  readonly #shared = Shared.allocate(1024);
  readonly #maps = new HeldMaps();
  readonly #mirror = emptyMirror();
  readonly #runs = new Map<number, Run>();
  readonly #generic: GenericFeed;
  readonly #packets: PacketFeed;
  #thread: PolicyThread | undefined;
  #next = 1;
  #closed = false;
  /** What was lost since it was last told. */
  readonly #missed = { genl: 0, packets: 0 };
  #hooks = false;

  constructor(options: InteractiveOptions = {}) {
    this.#options = options;
    this.#maps.replace(options.maps ?? []);
    this.#generic = new GenericFeed({
      access: options.generic,
      send: (message, most) => this.#thread?.send(message, most),
      log: (text) => options.onLog?.(text),
      dropped: () => this.#dropped("genl", 1),
    });
    this.#packets = new PacketFeed(
      options.packets,
      () => this.#wake(),
      (count) => this.#dropped("packets", count),
    );
  }

  #wake(): boolean {
    this.#thread?.wake();
    return this.#thread !== undefined;
  }

  #started(): PolicyThread {
    if (this.#closed) throw new XdpctlError("XDPCTL_E_INTERNAL", "the sandbox was used after it was closed");
    this.#thread ??= new PolicyThread({
      start: {
        kind: "interactive",
        name: this.#options.name ?? "",
        file: "(repl)",
        source: "",
        args: { positional: [], named: {} },
        maps: this.#maps.maps,
        limits: { ...DEFAULT_LIMITS, ...this.#options.limits },
        packets: this.#packets.start,
        fib: this.#options.fib,
        state: this.#mirror.root === 0 ? undefined : this.#mirror,
      },
      shared: this.#shared,
      message: (message) => this.#message(message),
      ended: (reason) => this.#ended(reason),
    });
    return this.#thread;
  }

  #message(message: FromWorker): void {
    switch (message.type) {
      case "result": {
        const run = this.#runs.get(message.id);
        this.#runs.delete(message.id);
        if (message.failure === undefined) run?.resolve({ output: message.output, values: message.values });
        else {
          for (const line of message.output) this.#options.onLog?.(line);
          run?.reject(failureError(message.failure));
        }
        return;
      }
      case "log":
        this.#options.onLog?.(message.text);
        return;
      case "dropped":
        this.#options.onLog?.(`(${message.lines} lines were dropped)`);
        return;
      case "failure":
        this.#options.onError?.(failureError(message.failure));
        return;
      case "action":
        this.#options.onAction?.(message.action, message.text);
        return;
      case "state":
        applyDelta(this.#mirror, message.delta);
        return;
      case "maps":
        this.#maps.confirm(message.generation);
        return;
      case "loaded":
      case "hooks":
        this.#hooks = message.hooks.some((hook) => hook !== "every" && hook !== "packet" && !hook.startsWith("genl:"));
        this.#generic.listen(message.groups);
        this.#packets.listen(message.filters);
        return;
      case "request":
        void this.#program(message);
        return;
      case "genl":
        this.#generic.answer(message);
        return;
    }
  }

  /** Told once a second: there is no `policy ls` for what is typed. */
  #dropped(what: "genl" | "packets", count: number): void {
    const missed = this.#missed;
    missed[what] += count;
    if (missed[what] > count) return;
    const name = what === "genl" ? "messages of generic netlink" : "packets";
    setTimeout(() => {
      this.#options.onLog?.(`${missed[what]} ${name} were lost: the hook was too slow for them`);
      missed[what] = 0;
    }, 1000).unref();
  }

  async #program(request: Extract<FromWorker, { type: "request" }>): Promise<void> {
    const thread = this.#thread;
    const answer = await answerProgram(request, this.#options.onProgram);
    // A sandbox that was started anew did not ask.
    if (thread === this.#thread) thread?.send(answer);
  }

  #ended(reason: XdpctlError | undefined): void {
    this.#thread = undefined;
    this.#hooks = false;
    this.#generic.listen([]);
    this.#packets.abandon();
    // What was typed is gone with the worker, unlike a policy's script.
    if (!this.#closed) this.#packets.listen([]);
    this.#maps.confirm();
    const error = reason ?? new XdpctlError("XDPCTL_E_LUA_MEMORY", "the sandbox ended; `state` is kept");
    for (const run of this.#runs.values()) run.reject(error);
    this.#runs.clear();
  }

  /**
   * Runs a chunk; with `expression` its values come back as text. May run for as long as it likes: `interrupt` ends it.
   * @throws XDPCTL_E_LUA_SYNTAX, XDPCTL_E_LUA_RUNTIME, XDPCTL_E_LUA_TIMEOUT (interrupted), XDPCTL_E_LUA_MEMORY
   */
  run(code: string, expression: boolean): Promise<RunResult> {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#runs.set(id, { resolve, reject });
      if (!this.#started().send({ type: "run", id, code, expression })) {
        this.#runs.delete(id);
        reject(new XdpctlError("XDPCTL_E_LUA_TIMEOUT", "too many chunks wait for the one that runs"));
      }
    });
  }

  /** Ends the chunk that runs: within a millisecond, or with its worker after a second. */
  interrupt(): void {
    if (this.#runs.size > 0) this.#thread?.interrupt();
  }

  /** Records for hooks that were set here; see Policy.push. */
  push(src: Uint8Array, offset: number, count = 1): void {
    if (this.#hooks) this.#thread?.push(src, offset, count);
  }

  send(event: LinkEvent | XdpEvent): void {
    this.#thread?.send({ type: "event", event });
  }

  setMaps(maps: readonly PolicyMap[]): void {
    const generation = this.#maps.replace(maps);
    if (this.#thread?.send({ type: "maps", maps: this.#maps.maps, generation }) !== true) this.#maps.confirm();
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#thread?.terminate();
    this.#packets.close();
    this.#maps.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
