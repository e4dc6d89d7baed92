// SPDX-License-Identifier: MIT
import { EVENT_OFFSET, PACKET_EVENT_TYPES, type PacketEvent, REASONS, VERDICTS } from "../events/index.js";
import { addressText, monotonicNow } from "../linux/index.js";

const PROTOCOLS: Record<number, string> = { 1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6", 255: "non-ip" };

/** Turns CLOCK_MONOTONIC of the record into wall-clock time; read anew now and then, because clocks are adjusted. */
class WallClock {
  #offset = 0;
  #read = 0n;

  iso(ns: bigint): string {
    const now = monotonicNow();
    if (now - this.#read > 1_000_000_000n) {
      this.#read = now;
      this.#offset = Date.now() - Number(now) / 1e6;
    }
    return new Date(this.#offset + Number(ns) / 1e6).toISOString();
  }
}

const clock = new WallClock();

/** One record (`struct event`) of the ring as a typed event; `name` gives the interface's name. */
export function decodeEvent(view: DataView, at: number, name: (ifindex: number) => string): PacketEvent | undefined {
  const type = PACKET_EVENT_TYPES[view.getUint8(at + EVENT_OFFSET.type)];
  if (type === undefined || type === "") return undefined;
  const ifindex = view.getUint32(at + EVENT_OFFSET.ifindex, true);
  const proto = view.getUint8(at + EVENT_OFFSET.proto);
  const family = view.getUint8(at + EVENT_OFFSET.family);
  const address = (offset: number): string =>
    family === 0 ? "" : addressText(new Uint8Array(view.buffer, view.byteOffset + at + offset, 16));
  return {
    type,
    time: clock.iso(view.getBigUint64(at + EVENT_OFFSET.timeNs, true)),
    interface: name(ifindex),
    ifindex,
    verdict: VERDICTS[view.getUint8(at + EVENT_OFFSET.verdict)] ?? "ABORTED",
    reason: REASONS[view.getUint8(at + EVENT_OFFSET.reason)] ?? "default",
    proto: PROTOCOLS[proto] ?? String(proto),
    src: address(EVENT_OFFSET.src),
    dst: address(EVENT_OFFSET.dst),
    sport: view.getUint16(at + EVENT_OFFSET.sport, false),
    dport: view.getUint16(at + EVENT_OFFSET.dport, false),
    vlan: view.getUint16(at + EVENT_OFFSET.vlan, true),
    length: view.getUint32(at + EVENT_OFFSET.length, true),
    prefixLen: view.getUint8(at + EVENT_OFFSET.prefixLen),
    tcpFlags: view.getUint8(at + EVENT_OFFSET.tcpFlags),
  };
}
