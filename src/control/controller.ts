// SPDX-License-Identifier: MIT
import type { RingBuffer } from "../bpf/index.js";
import { XdpctlError } from "../errors/index.js";
import type { LinkEvent, LostEvent, XdpEvent } from "../events/index.js";
import { keepOnCpus, needCapabilities } from "../linux/index.js";
import type { Loop, LoopHandle } from "../loop/index.js";
import { type LinkMonitor, monitorLinks } from "../netlink/index.js";
import {
  type Backend,
  type ControllerInfo,
  type Method,
  type Methods,
  RpcServer,
  type Stream,
  type Streams,
  type Subscription,
} from "../rpc/index.js";
import { Attachments, type Attachment, type Instance } from "../xdp/index.js";
import { decodeEvent } from "./decode.js";
import { Hub } from "./hub.js";
import { Policies } from "./policies.js";
import { RateMeter } from "./rates.js";
import { Rings } from "./rings.js";
import { sweepRules } from "./rules.js";
import { isShared, loadWith, sharedMethods, unloadWith } from "./service.js";
import { statusOf } from "./status.js";

/** How often expired rules are deleted. */
const SWEEP_SECONDS = 5;

export interface ControllerOptions {
  kind: ControllerInfo["kind"];
  loop: Loop;
  version?: string;
  /** Leave events in the rings until `release`: so that policies that are loaded first miss none. */
  hold?: boolean;
  /**
   * CPUs for the event loop, the first, and for policies, the others: an event that is answered quickly is answered
   * sooner when neither has to wait for the other. All by default.
   */
  cpus?: readonly number[];
}

/**
 * The owner of programs, rings and policies in one network namespace; there is at most one, by the control socket's
 * abstract address. Everything that happens goes through its event stream.
 */
export class Controller implements Backend, AsyncDisposable {
  readonly loop: Loop;
  readonly info: ControllerInfo;
  readonly #attachments: Attachments;
  readonly #hub = new Hub();
  readonly #rates = new RateMeter();
  readonly #rings: Rings;
  readonly #policies: Policies;
  readonly #monitor: LinkMonitor;
  readonly #second: LoopHandle;
  readonly #names = new Map<number, string>();
  readonly #gone: (() => void)[] = [];
  #server: RpcServer | undefined;
  #closing: Promise<void> | undefined;
  #queue: Promise<unknown> = Promise.resolve();
  #ticks = 0;

  private constructor(options: ControllerOptions, attachments: Attachments) {
    this.loop = options.loop;
    this.info = {
      pid: process.pid,
      version: options.version ?? "0",
      started: new Date().toISOString(),
      kind: options.kind,
    };
    this.#attachments = attachments;
    this.#policies = new Policies({
      loop: this.loop,
      publish: (event) => this.#hub.publish(event),
      attachments,
      cpus: options.cpus?.slice(1),
      load: (program, name) => this.#loadFor(program, name),
      unload: (name) => this.#unloadFor(name),
    });
    this.#rings = new Rings(this.loop, {
      expect: () => this.#policies.expect(),
      record: (ring, offset) => this.#record(ring, offset),
      lost: (instance, count) => this.#lost(instance, count),
    });
    this.#rings.held = options.hold === true;
    this.#monitor = monitorLinks(this.loop, (event) => this.#linkChanged(event));
    for (const link of this.#monitor.links) this.#names.set(link.index, link.name);
    this.#second = this.loop.every(1000, () => this.#tick());
    this.#follow();
  }

  /** Takes the namespace's control socket. Throws XDPCTL_E_CONTROLLER_RUNS, XDPCTL_E_PERMISSION. */
  static async start(options: ControllerOptions): Promise<Controller> {
    // Whoever holds the socket speaks for the whole namespace, and must be able to.
    needCapabilities("controlling a network namespace", "CAP_BPF", "CAP_NET_ADMIN");
    if (options.cpus !== undefined) keepOnCpus(options.cpus.slice(0, 1));
    let controller: Controller | undefined;
    // The socket is the lock: nothing is opened before it is ours.
    const server = await RpcServer.listen(undefined, {
      request: (method, params) => ready(controller).request(method, params),
      subscribe: (stream, params, item) => ready(controller).subscribe(stream, params, item),
    });
    let attachments: Attachments | undefined;
    try {
      attachments = Attachments.open();
      controller = new Controller(options, attachments);
    } catch (error) {
      attachments?.close();
      await server.close();
      throw error;
    }
    controller.#server = server;
    return controller;
  }

  /** Begins to read the rings, after a start with `hold`. */
  release(): void {
    this.#rings.held = false;
    this.#follow();
  }

  #name(ifindex: number): string {
    return this.#names.get(ifindex) ?? `if${ifindex}`;
  }

  #record(ring: RingBuffer, offset: number): void {
    this.#policies.push(ring.bytes, offset);
    if (this.#hub.packetReaders === 0) return;
    const event = decodeEvent(ring.view, offset, (ifindex) => this.#name(ifindex));
    if (event !== undefined) this.#hub.publish(event);
  }

  #lost(instance: Instance, count: number): void {
    this.#hub.publish({ type: "lost", time: new Date().toISOString(), where: "ring", name: instance.name, count });
  }

  #tick(): void {
    this.#rates.tick(this.#attachments);
    this.#rings.checkLost();
    this.#policies.tick();
    if (++this.#ticks % SWEEP_SECONDS === 0) sweepRules(this.#attachments);
  }

  #linkChanged(event: LinkEvent | LostEvent): void {
    if (event.type === "link") {
      if (event.action === "delete") {
        const held = this.#attachments.forget(event.ifindex);
        if (held !== undefined) {
          this.#follow();
          this.#publishXdp("gone", held);
        }
        this.#names.delete(event.ifindex);
      } else {
        this.#names.set(event.ifindex, event.interface);
        if (this.#attachments.rename(event.ifindex, event.interface)) this.#policies.follow();
      }
      this.#policies.send(event);
    }
    this.#hub.publish(event);
  }

  #publishXdp(action: XdpEvent["action"], held: Attachment): void {
    const event: XdpEvent = {
      type: "xdp",
      time: new Date().toISOString(),
      action,
      interface: held.interface,
      ifindex: held.ifindex,
      program: held.instance.name,
      id: held.instance.id,
      mode: held.mode,
    };
    this.#policies.send(event);
    this.#hub.publish(event);
  }

  /** Rings and policies follow what is attached. */
  #follow(): void {
    const { instances } = this.#attachments;
    this.#rings.follow(instances);
    this.#policies.follow();
  }

  /** Answers one request after the other: two loads never interleave. */
  async request<M extends Method>(method: M, params: Methods[M]["params"]): Promise<Methods[M]["result"]> {
    if (this.#closing !== undefined) throw new XdpctlError("XDPCTL_E_DISCONNECTED", "the controller ends");
    if (method === "lua" || method.startsWith("policy."))
      return (await this.#answer(method, params)) as Methods[M]["result"];
    const turn = this.#queue.then(() => this.#answer(method, params));
    this.#queue = turn.catch(() => undefined);
    return (await turn) as Methods[M]["result"];
  }

  async #answer(method: Method, params: unknown): Promise<unknown> {
    const attachments = this.#attachments;
    if (isShared(method)) return sharedMethods[method](attachments, params as never);
    switch (method) {
      case "info":
        return this.info;
      case "load": {
        const { loaded, ...result } = await loadWith(attachments, params as Methods["load"]["params"]);
        this.#rings.drain();
        this.#follow();
        for (const { attachment, replaced } of loaded) {
          this.#names.set(attachment.ifindex, attachment.interface);
          this.#publishXdp(replaced === undefined ? "attach" : "replace", attachment);
        }
        return result;
      }
      case "unload":
        return this.#unload(params as Methods["unload"]["params"]);
      case "status":
        return {
          interfaces: statusOf(attachments, (params as Methods["status"]["params"]).interfaces, {
            rates: (ifindex, verdict) => this.#rates.rate(ifindex, verdict),
            policies: (ifindex) =>
              attachments.get(ifindex)?.instance.maps.events === undefined ? [] : this.#policies.names(),
          }),
          controller: this.info,
        };
      default:
        return await this.#policies.answer(method, params);
    }
  }

  /** `load(program, interface)` of a script. */
  async #loadFor(program: string, name: string): Promise<string> {
    const params = { program, interfaces: [name], mode: "auto", force: false, keep: false } as const;
    const { attachments } = await this.request("load", { ...params, interfaces: [name] });
    const [done] = attachments;
    return done === undefined ? "" : `${done.program} on ${done.interface} (${done.mode})`;
  }

  async #unloadFor(name: string): Promise<string> {
    const { detached } = await this.request("unload", { interfaces: [name], all: false, force: false });
    return detached.map((d) => `${d.program} off ${d.interface}`).join(", ");
  }

  #unload(params: Methods["unload"]["params"]): Methods["unload"]["result"] {
    const before = new Map(this.#attachments.all.map((held) => [held.interface, held]));
    this.#rings.drain();
    try {
      const result = unloadWith(this.#attachments, params);
      return result;
    } finally {
      this.#follow();
      for (const held of before.values()) {
        if (this.#attachments.get(held.ifindex) === undefined) this.#publishXdp("detach", held);
      }
    }
  }

  /** Throws XDPCTL_E_NO_INTERFACE for an interface that is not there. */
  async subscribe<S extends Stream>(
    _stream: S,
    params: Streams[S]["params"],
    item: (item: Streams[S]["item"]) => void,
  ): Promise<Subscription> {
    if (params.interface !== undefined) this.#attachments.link(params.interface);
    let end: () => void = () => undefined;
    const ended = new Promise<void>((resolve) => {
      end = resolve;
    });
    const stop = this.#hub.subscribe(params, item);
    this.#gone.push(end);
    const close = (): void => {
      stop();
      end();
    };
    return { ended, close, [Symbol.dispose]: close };
  }

  /** Stops the Lua chunk that the REPL runs, if one runs. */
  interruptLua(): void {
    this.#policies.interrupt();
  }

  /** Ends policies, readers and clients; detaches what is not pinned. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#queue;
    const exit = { type: "exit", time: new Date().toISOString() } as const;
    this.#rings.drain();
    await this.#policies.close();
    this.#hub.publish(exit);
    for (const end of this.#gone.splice(0)) end();
    this.#second.close();
    this.#monitor.close();
    this.#rings.close();
    this.#attachments.close();
    await this.#server?.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function ready(controller: Controller | undefined): Controller {
  if (controller === undefined) throw new XdpctlError("XDPCTL_E_NO_CONTROLLER", "the controller is starting");
  return controller;
}
