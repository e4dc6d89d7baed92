// SPDX-License-Identifier: MIT
import { interfaceIndex, interfaceName } from "../linux/index.js";
import { ETHERTYPE, FrameView, IP_PROTOCOL } from "../packet/index.js";
import { AddressStrings } from "./addresses.js";
import { type LuaState, lstring, type TString, textOf } from "./lua.js";
import { PacketAnswer } from "./packet-answer.js";

/** A field or method of packets: pushes its value, and says how many. */
export type Getter = (L: LuaState, view: PacketView) => number;

/** The packet that a hook looks at: one object, pointed at frame after frame. Offsets that scripts use begin at the frame. */
export class PacketView {
  bytes: Uint8Array = new Uint8Array(0);
  start = 0;
  end = 0;
  ifindex = 0;
  /** Bytes in front of it that a program may have written. */
  metadata = 0;
  /** False outside of the hook's call: a script may have kept it. */
  current = false;
  readonly frame = new FrameView();
  readonly answer = new PacketAnswer();
  readonly #addresses = new AddressStrings();
  readonly #interfaces = new Map<number, TString>();
  readonly #indices = new Map<TString, number>();

  at(bytes: Uint8Array, start: number, end: number, ifindex: number, metadata: number): void {
    this.bytes = bytes;
    this.start = start;
    this.end = end;
    this.ifindex = ifindex;
    this.metadata = metadata;
    this.answer.made = "";
    this.frame.at(bytes, start, end);
  }

  /** Names may have changed: they are asked for again. */
  forgetInterfaces(): void {
    this.#interfaces.clear();
    this.#indices.clear();
  }

  /** The number of an interface that a script names; 0 where there is none. */
  indexOf(name: TString): number {
    const known = this.#indices.get(name);
    if (known !== undefined) return known;
    const index = interfaceIndex(textOf(name.realstring)) ?? 0;
    if (this.#indices.size > 4096) this.#indices.clear();
    if (index !== 0) this.#indices.set(name, index);
    return index;
  }

  get interface(): TString {
    return this.nameOf(this.ifindex);
  }

  /** The name of an interface; `#N` where it is gone. */
  nameOf(index: number): TString {
    let name = this.#interfaces.get(index);
    if (name === undefined) {
      name = lstring.luaS_newliteral(null, interfaceName(index) ?? `#${index}`);
      if (this.#interfaces.size > 4096) this.#interfaces.clear();
      this.#interfaces.set(index, name);
    }
    return name;
  }

  /** Source (0) or destination (1) as text; undefined where the frame is no IP. */
  address(side: number): TString | undefined {
    const { frame } = this;
    if (frame.network === ETHERTYPE.IPV6)
      return this.#addresses.v6(this.bytes, side === 0 ? frame.ipv6.srcAt : frame.ipv6.dstAt);
    if (frame.network !== ETHERTYPE.IPV4) return undefined;
    const at = frame.ipv4.start + 12 + 4 * side;
    const { bytes } = this;
    const high = (bytes[at + 2] as number) | ((bytes[at + 3] as number) << 8);
    return this.#addresses.v4(((bytes[at] as number) | ((bytes[at + 1] as number) << 8) | (high << 16)) >>> 0);
  }

  /** Of IP; -1 where there is none. */
  get protocol(): number {
    const { frame } = this;
    if (frame.network === ETHERTYPE.IPV4) return frame.ipv4.protocol;
    return frame.network === ETHERTYPE.IPV6 ? frame.ipv6.protocol : -1;
  }

  /** Where the payload of TCP, UDP or ICMP begins in `bytes`, a first fragment's part of it, too; -1 where there is none of these. */
  get payloadAt(): number {
    const view = this.#transport();
    return view === undefined ? -1 : view.payloadStart;
  }

  get payloadEnd(): number {
    const view = this.#transport();
    return view === undefined ? -1 : view.payloadEnd;
  }

  #transport(): { payloadStart: number; payloadEnd: number } | undefined {
    const { frame } = this;
    switch (frame.header) {
      case 0:
        return undefined;
      case IP_PROTOCOL.TCP:
        return frame.tcp;
      case IP_PROTOCOL.UDP:
        return frame.udp;
      default:
        return frame.icmp;
    }
  }
}
