// SPDX-License-Identifier: MIT
import { didYouMean } from "../errors/index.js";
import { armGuard } from "./guard.js";
import {
  BOOLEAN,
  fail,
  failOf,
  type LuaState,
  ldo,
  lobject,
  NIL,
  STRING,
  type TString,
  type TValue,
  textOf,
  USERDATA,
} from "./lua.js";
import { type PacketFilter, PacketMatch } from "./packet-filter.js";
import { PACKET_VERDICT, type PacketRing } from "./packet-ring.js";
import { PacketView } from "./packet-view.js";
import { DURATIONS, HOOK, type Shared, WORD } from "./shared.js";

const { TValue: Value } = lobject;

/** Packets that are handled before timers and messages have their turn. */
const BATCH = 64;
const BATCH_MS = 5;
const MOST_HOOKS = 16;
const ANSWERS = ["pass", "drop", "reply", "redirect"] as const;

interface Hook {
  readonly id: number;
  readonly filter: PacketFilter;
  readonly match: PacketMatch;
  readonly fn: TValue;
}

/** The packet hooks of one script, and their turn at the frames that wait. */
export class PacketHooks {
  readonly view = new PacketView();
  /** The userdata that hooks get: always the same. */
  userdata: unknown;
  #hooks: readonly Hook[] = [];
  readonly #ring: PacketRing;
  readonly #shared: Shared;
  readonly #hookMs: number;
  readonly #signal: () => void;
  /** The hook that runs, for what becomes of its packet when it fails. */
  #running: Hook | undefined;

  constructor(ring: PacketRing, shared: Shared, hookMs: number, signal: () => void) {
    this.#ring = ring;
    this.#shared = shared;
    this.#hookMs = hookMs;
    this.#signal = signal;
  }

  get filters(): PacketFilter[] {
    return this.#hooks.map(({ filter }) => filter);
  }

  add(L: LuaState, id: number, filter: PacketFilter, fn: TValue): void {
    if (this.#hooks.length >= MOST_HOOKS) fail(L, `a script has at most ${MOST_HOOKS} packet hooks`);
    this.#hooks = [...this.#hooks, { id, filter, match: new PacketMatch(filter), fn }];
  }

  remove(id: number): boolean {
    const at = this.#hooks.findIndex((hook) => hook.id === id);
    // A hook may remove itself while the list is gone through.
    if (at >= 0) this.#hooks = this.#hooks.filter((hook) => hook.id !== id);
    return at >= 0;
  }

  get pending(): boolean {
    return this.#ring.head !== this.#ring.done;
  }

  /** Answers frames, up to a batch; to be called protected, and followed by `settle`. `count` counts a call. */
  drain(L: LuaState, count: () => number): void {
    const ring = this.#ring;
    const { view } = this;
    const { head } = ring;
    let before = performance.now();
    const stop = before + BATCH_MS;
    for (let i = 0; i < BATCH && ring.done !== head && before <= stop; i++) {
      const n = ring.done;
      view.at(ring.bytes, ring.start(n), ring.end(n), ring.ifindex(n), ring.metadata(n));
      let verdict: number = PACKET_VERDICT.pass;
      for (const hook of this.#hooks) {
        if (verdict !== PACKET_VERDICT.pass) break;
        if (!this.#wants(hook)) continue;
        this.#running = hook;
        armGuard(before, this.#hookMs);
        const { words, durations } = this.#shared;
        words[WORD.hook] = HOOK.packet;
        words[WORD.beat] = ((words[WORD.beat] as number) + 1) | 0;
        const calls = count();
        verdict = this.#call(L, hook.fn);
        this.#running = undefined;
        const after = performance.now();
        durations[calls & (DURATIONS - 1)] = (after - before) * 1000;
        before = after;
        if (verdict === PACKET_VERDICT.pass && view.answer.made === "pass") this.#replace(n);
      }
      const sent = verdict === PACKET_VERDICT.reply || verdict === PACKET_VERDICT.redirect;
      if (sent && !view.answer.store(ring, n)) verdict = PACKET_VERDICT.drop;
      ring.answer(n, verdict);
      ring.done = (n + 1) | 0;
    }
  }

  /** The hooks and policies that come next see what the script put in the packet's place. */
  #replace(n: number): void {
    const ring = this.#ring;
    this.view.answer.store(ring, n);
    this.view.at(ring.bytes, ring.start(n), ring.end(n), ring.ifindex(n), ring.metadata(n));
  }

  #wants({ filter, match }: Hook): boolean {
    if (filter.interface !== undefined && textOf(this.view.interface.realstring) !== filter.interface) return false;
    return match.matches(this.view.frame);
  }

  #call(L: LuaState, fn: TValue): number {
    const base = L.top;
    L.stack[L.top++] = new Value(fn.type, fn.value);
    L.stack[L.top++] = new Value(USERDATA, this.userdata);
    this.view.current = true;
    // What another hook made and did not send is not this one's.
    this.view.answer.made = "";
    ldo.luaD_callnoyield(L, base, 1);
    const answer = L.stack[L.top - 1] as TValue;
    const verdict = this.#verdict(L, fn, answer);
    L.top = base;
    return verdict;
  }

  #verdict(L: LuaState, fn: TValue, answer: TValue): number {
    // `return address and p:dns_answer(address)` says nothing by false.
    if (answer.type === NIL || (answer.type === BOOLEAN && answer.value === false)) {
      this.view.answer.made = "";
      return PACKET_VERDICT.pass;
    }
    if (answer.type !== STRING)
      return failOf(L, fn, `a packet hook answers ${ANSWERS.join(", ")}, as a string, or nothing`);
    const text = textOf((answer.value as TString).realstring);
    const { made } = this.view.answer;
    switch (text) {
      case "pass":
        return PACKET_VERDICT.pass;
      case "drop":
        return PACKET_VERDICT.drop;
      case "reply":
        if (made === "reply") return PACKET_VERDICT.reply;
        return failOf(L, fn, "there is no reply: make one by p:udp_reply, p:tcp_rst, p:dns_answer or p:send");
      case "redirect":
        if (made === "redirect") return PACKET_VERDICT.redirect;
        return failOf(L, fn, "redirect where to? return p:redirect(INTERFACE)");
      default:
        return failOf(
          L,
          fn,
          `"${text}" is no answer of a packet hook${didYouMean(text, ANSWERS)}: ${ANSWERS.join(", ")}`,
        );
    }
  }

  /** After `drain`, however it ended: the packet of a hook that failed gets its default, and the controller is told. */
  settle(): void {
    this.view.current = false;
    const hook = this.#running;
    this.#running = undefined;
    if (hook !== undefined) {
      const ring = this.#ring;
      ring.answer(ring.done, PACKET_VERDICT[hook.filter.onError]);
      ring.done = (ring.done + 1) | 0;
    }
    this.#signal();
  }
}
