// SPDX-License-Identifier: MIT
import { basename } from "node:path";
import { didYouMean, XdpctlError } from "../errors/index.js";
import type { LinkEvent, PolicyEvent, XdpctlEvent, XdpEvent } from "../events/index.js";
import { readBounded } from "../linux/index.js";
import type { Loop } from "../loop/index.js";
import {
  DEFAULT_LIMITS,
  type GenericAccess,
  Interactive,
  MAX_SOURCE,
  ownerName,
  Policy,
  type PolicyMap,
  removeOwned,
} from "../policy/index.js";
import { type Methods, POLICY_TEXT } from "../rpc/index.js";
import type { Attachments } from "../xdp/index.js";
import { GenericGroups, type GenericListener } from "./generic-groups.js";
import { answerRequest } from "./generic-requests.js";
import { Packets } from "./packets.js";
import { type GenericSource, kernelSource } from "./generic-source.js";

export interface PoliciesHost {
  readonly loop: Loop;
  publish(event: XdpctlEvent): void;
  readonly attachments: Attachments;
  /** CPUs on which policies are kept; all by default. */
  readonly cpus?: readonly number[] | undefined;
  load(program: string, interfaceName: string): Promise<string>;
  unload(interfaceName: string): Promise<string>;
}

/** The REPL's own sandbox, as events name it. */
const REPL = "repl";
const MAX_NAME = 14;
/** Maps that scripts are not given: packet hooks and captures fill them. */
const OURS: ReadonlySet<string> = new Set(["redirects", "xsks", "capture_until", "capture_note", "capture_hook"]);
const { loadMs: LOAD_MS } = DEFAULT_LIMITS;

/** The policies of a controller: each in its worker, fed with records, told of links and programs. */
export class Policies {
  readonly #host: PoliciesHost;
  readonly #policies = new Map<string, Policy>();
  readonly #reported = new Map<string, number>();
  readonly #source: GenericSource;
  readonly #groups: GenericGroups;
  readonly #packets: Packets;
  /** By policy: the families whose commands that change the system it may call. */
  readonly #allowed = new Map<string, readonly string[]>();
  /** The same as `#policies`, as an array: the event path iterates it for every record. */
  #list: Policy[] = [];
  #interactive: Interactive | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(host: PoliciesHost) {
    this.#host = host;
    this.#source = kernelSource(host.loop);
    this.#packets = new Packets({
      loop: host.loop,
      attachments: host.attachments,
      log: (policy, text) => this.#tell(policy, "log", text),
    });
    this.#groups = new GenericGroups(this.#source, (name) => {
      host.publish({ type: "lost", time: new Date().toISOString(), where: "netlink", name, count: 1 });
    });
  }

  /** One record of 64 bytes. */
  push(bytes: Uint8Array, offset: number): void {
    const list = this.#list;
    for (let i = 0; i < list.length; i++) (list[i] as Policy).push(bytes, offset);
    this.#interactive?.push(bytes, offset);
  }

  /** Records are about to come. */
  expect(): void {
    const list = this.#list;
    for (let i = 0; i < list.length; i++) (list[i] as Policy).expect();
  }

  send(event: LinkEvent | XdpEvent): void {
    if (event.type === "link") this.#packets.follow();
    for (const policy of this.#list) policy.send(event);
    this.#interactive?.send(event);
  }

  /** Gives them the maps of what is attached now. */
  follow(): void {
    const maps = this.#maps();
    for (const policy of this.#list) policy.setMaps(maps);
    this.#interactive?.setMaps(maps);
    this.#packets.follow();
  }

  #maps(): PolicyMap[] {
    const { all, instances } = this.#host.attachments;
    return instances.flatMap((instance) => {
      const interfaces = all.filter((held) => held.instance === instance).map((held) => held.interface);
      return Object.entries(instance.maps)
        .filter(([name]) => !OURS.has(name))
        .map(([name, map]) => ({ name, fd: map.fd, interfaces }));
    });
  }

  names(): string[] {
    return [...this.#policies.keys()];
  }

  /** Once a second: what policies were too slow for is told as it happens. */
  tick(): void {
    this.#packets.count();
    for (const policy of this.#list) {
      const { lost } = policy.status();
      const before = this.#reported.get(policy.name) ?? 0;
      if (lost <= before) continue;
      this.#reported.set(policy.name, lost);
      const time = new Date().toISOString();
      this.#host.publish({ type: "lost", time, where: "policy", name: policy.name, count: lost - before });
    }
  }

  /** Loads and unloads come one after the other; a chunk of the REPL does not wait for them. */
  async answer(method: string, params: unknown): Promise<unknown> {
    switch (method) {
      case "policy.load":
        return await this.#inTurn(() => this.#load(params as Methods["policy.load"]["params"]));
      case "policy.unload":
        return await this.#inTurn(() => this.#unload((params as Methods["policy.unload"]["params"]).name));
      case "policy.list":
        this.#packets.count();
        return { policies: this.#list.map((policy) => this.#status(policy)) };
      case "lua": {
        const { code, expression } = params as Methods["lua"]["params"];
        return await this.#sandbox().run(code, expression);
      }
      default:
        throw new XdpctlError("XDPCTL_E_RPC", `there is no method ${method}`);
    }
  }

  #inTurn<T>(body: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(body);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  async #load(params: Methods["policy.load"]["params"]): Promise<Methods["policy.load"]["result"]> {
    const name = nameOf(params);
    const old = this.#policies.get(name);
    const source = sourceOf(params, old);
    const before = this.#allowed.get(name) ?? [];
    if (old !== undefined && old.file === params.file) {
      this.#allowed.set(name, params.genl ?? []);
      try {
        await loading(old.reload(source, params.args));
      } catch (error) {
        this.#allowed.set(name, before);
        throw error;
      }
      this.#tell(name, "reload", params.file);
      return { policy: this.#status(old), replaced: true };
    }
    if (old !== undefined) {
      throw new XdpctlError("XDPCTL_E_POLICY_EXISTS", `a policy ${name} runs already, from ${old.file}`);
    }
    this.#allowed.set(name, params.genl ?? []);
    const policy = await loading(
      Policy.load({
        name,
        file: params.file,
        source,
        args: params.args,
        maps: this.#maps(),
        cpus: this.#host.cpus,
        onLog: (text) => this.#tell(name, "log", text),
        onError: (error, stopped) => this.#tell(name, stopped ? "killed" : "error", error.message),
        onAction: (action, text) => {
          if (action === "block" || action === "allow" || action === "limit") this.#tell(name, action, text);
        },
        onProgram: (op, program, on) => this.#program(op, program, on),
        generic: this.#generic(name),
        packets: { listen: (feed, filters) => this.#packets.listen(name, feed, filters) },
        fib: this.#packets.fib,
      }),
    );
    this.#policies.set(name, policy);
    this.#list = [...this.#policies.values()];
    this.#tell(name, "load", params.file);
    return { policy: this.#status(policy), replaced: false };
  }

  #status(policy: Policy): Methods["policy.load"]["result"]["policy"] {
    return { ...policy.status(), genl: [...(this.#allowed.get(policy.name) ?? [])] };
  }

  /** What a script may have of generic netlink. */
  #generic(policy: string): GenericAccess {
    const listener: GenericListener = { news: () => {}, log: (text) => this.#tell(policy, "log", text) };
    return {
      listen: (groups, news) => {
        listener.news = news;
        this.#groups.listen(listener, groups);
      },
      // What is typed at a prompt is a person's.
      request: (request) =>
        answerRequest(this.#source, request, policy === REPL ? "all" : (this.#allowed.get(policy) ?? [])),
    };
  }

  async #program(op: "load" | "unload", program: string, on: string): Promise<string> {
    return op === "load" ? await this.#host.load(program, on) : await this.#host.unload(on);
  }

  async #unload(name: string): Promise<Methods["policy.unload"]["result"]> {
    const policy = this.#policies.get(name);
    if (policy === undefined) {
      throw new XdpctlError("XDPCTL_E_NO_POLICY", `there is no policy ${name}${didYouMean(name, this.names())}`);
    }
    this.#policies.delete(name);
    this.#reported.delete(name);
    this.#allowed.delete(name);
    this.#list = [...this.#policies.values()];
    await policy.unload();
    const removed = removeOwned(this.#maps(), ownerName(name));
    this.#tell(name, "unload", `${removed} ${removed === 1 ? "rule" : "rules"} removed`);
    return { removed };
  }

  #tell(policy: string, action: PolicyEvent["action"], text: string): void {
    this.#host.publish({ type: "policy", time: new Date().toISOString(), policy, action, text });
  }

  #sandbox(): Interactive {
    this.#interactive ??= new Interactive({
      maps: this.#maps(),
      onLog: (text) => this.#tell(REPL, "log", text),
      onError: (error) => this.#tell(REPL, "error", error.message),
      onProgram: (op, program, on) => this.#program(op, program, on),
      generic: this.#generic(REPL),
      packets: { listen: (feed, filters) => this.#packets.listen(REPL, feed, filters) },
      fib: this.#packets.fib,
    });
    return this.#interactive;
  }

  interrupt(): void {
    this.#interactive?.interrupt();
  }

  /** Runs the `exit` hooks, ends all workers, and takes their rules out of what stays attached. */
  async close(): Promise<void> {
    await this.#turn;
    for (const name of this.names()) await this.#unload(name);
    await this.#interactive?.close();
    this.#packets[Symbol.dispose]();
    this.#groups[Symbol.dispose]();
    this.#source[Symbol.dispose]();
  }
}

/** A script that loads has more time than a hook: the remedy says how much. */
async function loading<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (!XdpctlError.is(error, "XDPCTL_E_LUA_TIMEOUT")) throw error;
    const remedy = `the script itself may run ${LOAD_MS / 1000} s when it is loaded; do less there`;
    throw XdpctlError.from({ ...error.toJSON(), remedy });
  }
}

function nameOf(params: Methods["policy.load"]["params"]): string {
  if (params.name === undefined && params.file === POLICY_TEXT) return "text";
  if (params.name === undefined) return ownerName(basename(params.file).replace(/\.lua$/, ""));
  if (Buffer.byteLength(params.name) > MAX_NAME || !/^[\p{L}\p{N}_.-]+$/u.test(params.name)) {
    throw new XdpctlError("XDPCTL_E_BAD_NAME", `${JSON.stringify(params.name)} is no name for a policy`, {
      remedy: `a policy's name has up to ${MAX_NAME} letters, digits, \`_\`, \`.\` and \`-\``,
    });
  }
  return params.name;
}

/** The script; one that was given as text is known from before where it is loaded anew. */
function sourceOf({ file, source }: Methods["policy.load"]["params"], old: Policy | undefined): string {
  if (source !== undefined) return source;
  return file === POLICY_TEXT && old?.file === file ? old.source : readSource(file);
}

function readSource(file: string): string {
  try {
    return readBounded(file, MAX_SOURCE).toString();
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? "EIO";
    throw new XdpctlError("XDPCTL_E_NO_FILE", `reading the policy ${file}: ${code}`, { cause });
  }
}
