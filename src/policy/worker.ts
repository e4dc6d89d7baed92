// SPDX-License-Identifier: MIT
/* The worker in which one policy runs. It never returns to its event loop: it sleeps in Atomics.wait until it is woken. */
import "./lua.js";
import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { FibLookup } from "../bpf/index.js";
import { keepOnCpus, signalEvent } from "../linux/index.js";
import { configureGuard } from "./guard.js";
import type { Host } from "./host.js";
import { Maps } from "./maps.js";
import type { ScriptArguments, ScriptFailure, ToWorker, WorkerStart } from "./messages.js";
import type { StateMirror } from "./mirror.js";
import { Outbox } from "./outbox.js";
import { PacketRing } from "./packet-ring.js";
import { RecordReader } from "./records.js";
import { RuleWriter } from "./rules.js";
import { Script } from "./script.js";
import { COUNT, Shared, WORD } from "./shared.js";
import { usesOf } from "./uses.js";

/** What the worker has to say goes out at least so often while it is busy. */
const FLUSH_MS = 20;
/** How often it looks for what it was woken for: some 20 µs. */
const SPINS = 2000;
/** So many stopped hooks in a row are enough. */
const MOST_TIMEOUTS = 10;

const port = parentPort;
if (port === null) throw new Error("policy-worker runs in a worker thread");

class PolicyWorker {
  readonly #start: WorkerStart;
  readonly #shared: Shared;
  readonly #packets: PacketRing;
  readonly #outbox: Outbox;
  readonly #maps: Maps | undefined;
  readonly #rules: RuleWriter | undefined;
  readonly #routes: FibLookup | string | undefined;
  readonly #reader: RecordReader;
  #script: Script | undefined;
  #seen: number;
  #flushed = 0;
  #timeouts = 0;
  #lastTimeout = -1;
  /** Lines that a chunk of the REPL printed; undefined while none runs. */
  #output: string[] | undefined;
  #hooks = "";
  #ended = false;

  constructor(start: WorkerStart) {
    this.#start = start;
    if (start.cpus !== undefined) keepOnCpus(start.cpus);
    this.#shared = new Shared(start.shared);
    this.#packets = start.packets === undefined ? PacketRing.allocate() : new PacketRing(start.packets.ring);
    this.#outbox = new Outbox(port as NonNullable<typeof port>, this.#shared);
    this.#seen = Atomics.load(this.#shared.words, WORD.received);
    if (start.kind !== "check") {
      this.#maps = new Maps();
      this.#rules = new RuleWriter(this.#maps, start.name);
      this.#maps.set(start.maps);
      this.#rules.refresh();
      this.#routes = typeof start.fib === "number" ? new FibLookup(start.fib) : (start.fib ?? "no controller is there");
    }
    this.#reader = new RecordReader(this.#shared);
    configureGuard(this.#shared.words, start.limits.memoryMiB * 2 ** 20);
  }

  #host(args: ScriptArguments): Host {
    return {
      kind: this.#start.kind,
      file: this.#start.file,
      limits: this.#start.limits,
      shared: this.#shared,
      packets: this.#packets,
      packetsAnswered: () => {
        if (this.#start.packets !== undefined) signalEvent(this.#start.packets.answered);
      },
      args,
      maps: this.#maps,
      rules: this.#rules,
      routes: this.#routes,
      log: (text) => {
        if (this.#output !== undefined && this.#output.length < 10_000) this.#output.push(text);
        else this.#outbox.tell({ type: "log", text });
      },
      action: (action, text) => this.#outbox.tell({ type: "action", action, text }),
      request: (id, op, program, name) => this.#outbox.add({ type: "request", id, op, program, interface: name }),
      generic: (id, request) => this.#outbox.add({ type: "genl", id, request }),
      hooksChanged: () => {
        this.#hooks = "";
      },
    };
  }

  /** Loads a script with a state; the one that runs stays where it fails. */
  #load(source: string, args: ScriptArguments, state: StateMirror | undefined): ScriptFailure | undefined {
    const script = new Script(this.#host(args), state);
    const failure = script.load(source, this.#start.file);
    if (failure === undefined) this.#script = script;
    return failure;
  }

  #told(failure: ScriptFailure | undefined): void {
    if (failure === undefined) return;
    if (failure.code === "XDPCTL_E_LUA_MEMORY") {
      // What it held is held still: only a new worker gives it back. State is as it was copied out before.
      this.#end({ type: "failure", failure, fatal: true });
      return;
    }
    if (failure.code === "XDPCTL_E_LUA_TIMEOUT") {
      const calls = this.#shared.counts[COUNT.calls] as number;
      this.#timeouts = calls - this.#lastTimeout <= 1 ? this.#timeouts + 1 : 1;
      this.#lastTimeout = calls;
      if (this.#timeouts >= MOST_TIMEOUTS && this.#start.kind === "policy") {
        this.#end({ type: "failure", failure, fatal: true });
        return;
      }
    }
    this.#outbox.failure(failure, performance.now());
  }

  #end(message: Parameters<Outbox["add"]>[0]): void {
    this.#outbox.add(message);
    this.#outbox.finish();
    this.#ended = true;
  }

  run(): void {
    const { source, args, state, kind } = this.#start;
    if (kind === "check") {
      this.#check();
      return;
    }
    if (kind === "interactive") this.#script = new Script(this.#host(args), state);
    else {
      const failure = this.#load(source, args, state);
      if (failure !== undefined) {
        this.#end({ type: "loaded", hooks: [], groups: [], filters: [], failure });
        return;
      }
    }
    this.#tellHooks("loaded");
    while (!this.#ended) this.#turn();
  }

  #check(): void {
    const { source, args, file } = this.#start;
    const script = new Script(this.#host(args), undefined);
    const globals = usesOf(script.L, source);
    const failure = script.load(source, file);
    if (failure !== undefined) this.#outbox.add({ type: "loaded", hooks: [], groups: [], filters: [], failure });
    this.#end({ type: "checked", use: { hooks: script.hooks, ...globals } });
  }

  #turn(): void {
    const script = this.#script as Script;
    const { words } = this.#shared;
    if (Atomics.load(words, WORD.sent) !== this.#seen) this.#receive();
    if (this.#ended) return;
    const now = performance.now();
    for (const failure of script.runTimers(now)) this.#told(failure);
    if (!this.#ended) this.#told(script.drainPackets());
    if (!this.#ended) this.#told(script.drain(this.#reader));
    if (this.#ended) return;
    const idle = this.#idle;
    if (now - this.#flushed >= FLUSH_MS || (idle && this.#urgent)) this.#flush(now);
    if (idle && !this.#ended) this.#sleep();
  }

  /** Nothing waits: no record, no frame, no message. */
  get #idle(): boolean {
    const { words } = this.#shared;
    if (Atomics.load(words, WORD.head) !== words[WORD.tail] || this.#packets.head !== this.#packets.done) return false;
    return Atomics.load(words, WORD.sent) === this.#seen;
  }

  /** Whether the controller hears at once. Waking it for each line would cost more than what the lines are about. */
  get #urgent(): boolean {
    return this.#outbox.urgent || this.#hooks === "" || (this.#script as Script).stateChanged;
  }

  #flush(now: number): void {
    const script = this.#script as Script;
    if (this.#hooks === "") this.#tellHooks("hooks");
    if (this.#outbox.open && script.stateChanged) {
      const { delta, failure } = script.copyState();
      if (delta !== undefined) this.#outbox.add({ type: "state", delta });
      this.#told(failure);
    }
    if (this.#ended || this.#outbox.empty) return;
    this.#flushed = now;
    this.#outbox.flush();
  }

  #tellHooks(type: "loaded" | "hooks"): void {
    const { hooks, generic, packets } = this.#script as Script;
    this.#hooks = hooks.join() || "none";
    const now = { hooks, groups: generic.groups, filters: packets.filters };
    this.#outbox.add(type === "loaded" ? { type, ...now, failure: undefined } : { type, ...now });
  }

  #sleep(): void {
    const { words } = this.#shared;
    const now = performance.now();
    let ms = (this.#script as Script).untilTimer(now);
    // What waits for more, and what the controller could not take yet, is offered again.
    if (!this.#outbox.empty || (this.#script as Script).stateChanged)
      ms = Math.min(ms, this.#outbox.open ? Math.max(1, this.#flushed + FLUSH_MS - now) : FLUSH_MS);
    Atomics.store(words, WORD.sleep, 1);
    if (this.#idle) {
      // Woken for records that are being read: they are there in some microseconds.
      if (Atomics.wait(words, WORD.sleep, 1, ms) !== "timed-out") for (let i = 0; i < SPINS && this.#idle; i++);
    }
    Atomics.store(words, WORD.sleep, 0);
  }

  #receive(): void {
    for (;;) {
      const got = receiveMessageOnPort(port as NonNullable<typeof port>) as { message: ToWorker } | undefined;
      if (got === undefined) return;
      this.#seen = (this.#seen + 1) | 0;
      Atomics.store(this.#shared.words, WORD.received, this.#seen);
      this.#take(got.message);
      if (this.#ended) return;
    }
  }

  #take(message: ToWorker): void {
    const script = this.#script as Script;
    switch (message.type) {
      case "maps":
        this.#maps?.set(message.maps);
        try {
          this.#rules?.refresh();
        } catch (error) {
          this.#outbox.tell({ type: "log", text: `rules were not written again: ${(error as Error).message}` });
        }
        this.#outbox.add({ type: "maps", generation: message.generation });
        return;
      case "event":
        if (message.event.type === "link") {
          this.#reader.forgetInterfaces();
          script.packets.view.forgetInterfaces();
        }
        for (const failure of script.event(message.event)) this.#told(failure);
        return;
      case "reload":
        this.#reload(message.source, message.args);
        return;
      case "run":
        this.#chunk(message.id, message.code, message.expression);
        return;
      case "answer":
        this.#told(script.answer(message.id, message.ok, message.text));
        return;
      case "genl":
        for (const failure of script.generic.news(message.news)) this.#told(failure);
        return;
      case "genl-answer":
        this.#told(script.generic.answer(message.id, message.answer));
        return;
      case "exit":
        for (const failure of script.exit()) this.#told(failure);
        if (this.#ended) return;
        this.#flush(performance.now());
        this.#end({ type: "bye" });
    }
  }

  #reload(source: string, args: ScriptArguments): void {
    const old = this.#script as Script;
    const failure = this.#load(source, args, old.wholeState());
    if (failure === undefined) this.#tellHooks("loaded");
    else {
      // Both were in the same state: the old one's is copied out anew.
      old.resendState();
      if (failure.code === "XDPCTL_E_LUA_MEMORY")
        this.#end({ type: "loaded", hooks: [], groups: [], filters: [], failure });
      else
        this.#outbox.add({
          type: "loaded",
          hooks: old.hooks,
          groups: old.generic.groups,
          filters: old.packets.filters,
          failure,
        });
    }
  }

  #chunk(id: number, code: string, expression: boolean): void {
    this.#output = [];
    const { values, failure } = (this.#script as Script).run(code, expression);
    const output = this.#output;
    this.#output = undefined;
    Atomics.store(this.#shared.words, WORD.interrupt, 0);
    const result = { type: "result", id, output, values, failure } as const;
    if (failure?.code === "XDPCTL_E_LUA_MEMORY") this.#end(result);
    else this.#outbox.add(result);
  }
}

new PolicyWorker(workerData as WorkerStart).run();
