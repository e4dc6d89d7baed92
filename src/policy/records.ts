// SPDX-License-Identifier: MIT
import { EVENT_OFFSET, EVENT_SIZE, REASONS } from "../events/index.js";
import { interfaceName } from "../linux/index.js";
import { AddressStrings } from "./addresses.js";
import { FLOAT, INTEGER, type LuaState, lobject, lstring, NIL, STRING, type TString } from "./lua.js";
import type { Shared } from "./shared.js";

const { TValue } = lobject;
const RECORD_WORDS = EVENT_SIZE / 4;
const O = EVENT_OFFSET;
const [W_TIME, W_IFINDEX, W_LENGTH, W_SRC, W_DST] = [O.timeNs / 4, O.ifindex / 4, O.length / 4, O.src / 4, O.dst / 4];
/** `::ffff:0:0/96` as its third word, read little-endian. */
const MAPPED = 0xffff0000;

/** How many arguments a packet hook may take; a hook gets as many as it has parameters. */
export const PACKET_ARGUMENTS = 12;

const PROTOCOLS: Record<number, string> = { 1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6", 255: "non-ip" };
const FLAG_LETTERS = "FSRPAUEC";

function strings(count: number, text: (i: number) => string): TString[] {
  return Array.from({ length: count }, (_, i) => {
    const ts = lstring.luaS_newliteral(null, text(i));
    lstring.luaS_hashlongstr(ts);
    return ts;
  });
}

/** TCP flags as tcpdump writes them: `S`, `SA`, `FPU`. */
export function flagText(flags: number): string {
  const letters = [..."SFRPAUEC"].filter((letter) => (flags & (1 << FLAG_LETTERS.indexOf(letter))) !== 0);
  return letters.join("");
}

/** Reads the ring's records and pushes them as arguments, without an object for any of them. */
export class RecordReader {
  readonly #bytes: Uint8Array;
  readonly #words: Uint32Array;
  readonly #addresses = new AddressStrings();
  readonly #protocols = strings(256, (i) => PROTOCOLS[i] ?? String(i));
  readonly #flags = strings(256, flagText);
  readonly #reasons = strings(REASONS.length, (i) => REASONS[i] as string);
  readonly #interfaces = new Map<number, TString>();

  constructor(shared: Shared) {
    this.#bytes = shared.records;
    this.#words = shared.recordWords;
  }

  /** `enum event_type` of the record in a slot. */
  type(slot: number): number {
    return this.#bytes[slot * EVENT_SIZE + O.type] as number;
  }

  /** Names may have changed: they are asked for again. */
  forgetInterfaces(): void {
    this.#interfaces.clear();
  }

  #interface(ifindex: number): TString {
    let name = this.#interfaces.get(ifindex);
    if (name === undefined) {
      name = lstring.luaS_newliteral(null, interfaceName(ifindex) ?? `#${ifindex}`);
      if (this.#interfaces.size > 4096) this.#interfaces.clear();
      this.#interfaces.set(ifindex, name);
    }
    return name;
  }

  #address(w: number): TString {
    const words = this.#words;
    if (words[w + 2] === MAPPED && words[w] === 0 && words[w + 1] === 0)
      return this.#addresses.v4(words[w + 3] as number);
    return this.#addresses.v6(this.#bytes, w * 4);
  }

  /** Pushes the first `n` of src, dst, proto, sport, dport, length, interface, vlan, flags, reason, prefix, time. */
  push(L: LuaState, slot: number, n: number): void {
    const { stack } = L;
    const bytes = this.#bytes;
    const words = this.#words;
    const b = slot * EVENT_SIZE;
    const w = slot * RECORD_WORDS;
    let top = L.top;
    if (n > 0) {
      const ip = bytes[b + O.family] !== 0;
      stack[top++] = ip ? new TValue(STRING, this.#address(w + W_SRC)) : new TValue(NIL, null);
      if (n > 1) stack[top++] = ip ? new TValue(STRING, this.#address(w + W_DST)) : new TValue(NIL, null);
    }
    if (n > 2) stack[top++] = new TValue(STRING, this.#protocols[bytes[b + O.proto] as number]);
    if (n > 3)
      stack[top++] = new TValue(INTEGER, ((bytes[b + O.sport] as number) << 8) | (bytes[b + O.sport + 1] as number));
    if (n > 4)
      stack[top++] = new TValue(INTEGER, ((bytes[b + O.dport] as number) << 8) | (bytes[b + O.dport + 1] as number));
    if (n > 5) {
      const length = words[w + W_LENGTH] as number;
      stack[top++] = new TValue((length | 0) === length ? INTEGER : FLOAT, length);
    }
    if (n > 6) stack[top++] = new TValue(STRING, this.#interface(words[w + W_IFINDEX] as number));
    if (n > 7)
      stack[top++] = new TValue(INTEGER, (bytes[b + O.vlan] as number) | ((bytes[b + O.vlan + 1] as number) << 8));
    if (n > 8) stack[top++] = new TValue(STRING, this.#flags[bytes[b + O.tcpFlags] as number]);
    if (n > 9) stack[top++] = new TValue(STRING, this.#reasons[bytes[b + O.reason] as number] ?? this.#reasons[0]);
    if (n > 10) stack[top++] = new TValue(INTEGER, bytes[b + O.prefixLen]);
    if (n > 11) {
      const ns = (words[w + W_TIME] as number) + (words[w + W_TIME + 1] as number) * 4294967296;
      stack[top++] = new TValue(FLOAT, ns / 1e9);
    }
    L.top = top;
  }
}
