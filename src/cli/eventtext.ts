// SPDX-License-Identifier: MIT
import { isIPv4, isIPv6 } from "node:net";
import type { LabEvent, LostEvent, PacketEvent, XdpctlEvent } from "../events/index.js";
import { visible } from "./table.js";

/** `12:04:05.120`, local time. */
export function clock(iso: string): string {
  const time = new Date(iso);
  return `${time.toTimeString().slice(0, 8)}.${String(time.getMilliseconds()).padStart(3, "0")}`;
}

function endpoint(address: string, port: number): string {
  if (port === 0) return address;
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

/** The network that an address is in: `198.51.100.0/24`. */
export function networkOf(address: string, prefixLen: number): string {
  if (isIPv4(address)) {
    if (prefixLen >= 32) return address;
    const value = address.split(".").reduce((sum, byte) => (sum << 8) | Number(byte), 0) >>> 0;
    const network = prefixLen === 0 ? 0 : (value & (0xffffffff << (32 - prefixLen))) >>> 0;
    return `${[24, 16, 8, 0].map((shift) => (network >>> shift) & 255).join(".")}/${prefixLen}`;
  }
  if (!isIPv6(address) || prefixLen >= 128) return address;
  const [head = "", tail] = address.split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  const groups = tail === undefined ? left : [...left, ...Array(8 - left.length - right.length).fill("0"), ...right];
  const kept = groups.map((group, i) => {
    const bits = Math.min(16, Math.max(0, prefixLen - i * 16));
    return Number.parseInt(group, 16) & (0xffff << (16 - bits)) & 0xffff;
  });
  const text = kept.map((group) => group.toString(16)).join(":");
  return `${text.replace(/(^|:)0(:0)+(:|$)/, "::")}/${prefixLen}`;
}

function why(event: PacketEvent): string {
  switch (event.reason) {
    case "deny-addr":
      return `rule ${networkOf(event.src, event.prefixLen)}`;
    case "deny-pair":
      return `rule ${networkOf(event.src, event.prefixLen)} port ${event.dport}`;
    case "deny-port":
      return `rule port ${event.dport}`;
    case "allow":
      return event.prefixLen > 0 ? `allow ${networkOf(event.src, event.prefixLen)}` : "allow";
    case "rate":
      return "over the limit";
    case "malformed":
      return `malformed, ${event.length} bytes`;
    case "default":
      return event.verdict === "PASS" ? "" : event.verdict;
  }
}

function packetParts(event: PacketEvent): string[] {
  const parts: string[] = [event.interface, event.type];
  if (event.proto !== "non-ip" && event.src !== "") {
    parts.push(`${endpoint(event.src, event.sport)} → ${endpoint(event.dst, event.dport)}`);
  }
  parts.push(event.proto);
  if (event.vlan !== 0) parts.push(`vlan ${event.vlan}`);
  const reason = why(event);
  if (reason !== "") parts.push(reason);
  return parts;
}

/** A policy loses packets, too, and messages. */
function lostText({ where, count }: LostEvent): string {
  const [one, many] = where === "policy" ? ["event or packet", "events or packets"] : ["event", "events"];
  return `${count} ${count === 1 ? one : many} (${where})`;
}

function parts(event: XdpctlEvent): string[] {
  switch (event.type) {
    case "link": {
      const state =
        event.action === "delete"
          ? "gone"
          : `${event.up ? "up" : "down"}${event.up && !event.carrier ? ", no carrier" : ""}`;
      return [event.interface, "link", event.action === "new" ? `new, ${state}` : state];
    }
    case "xdp":
      return [event.interface, "xdp", event.action, event.program, event.mode, `id ${event.id}`];
    case "policy":
      return [event.policy, "policy", event.action, event.text];
    case "lost":
      return [event.name === "" ? event.where : event.name, "lost", lostText(event)];
    case "exit":
      return ["–", "exit", "the controller ends"];
    default:
      return packetParts(event);
  }
}

/** A script's tabs stay; nothing else moves the cursor. */
function shown(part: string): string {
  return part.split("\t").map(visible).join("\t");
}

/** `12:04:05.120  eth1  deny  198.51.100.7:4242 → 192.168.6.1:22  tcp  rule 198.51.100.0/24`. */
export function eventLine(event: XdpctlEvent): string {
  return [
    clock(event.time),
    ...parts(event)
      .filter((part) => part !== "")
      .map(shown),
  ].join("  ");
}

/** `12:04:05.120  client  eth0  link  up, no carrier`: the machine comes first. */
export function labEventLine(event: LabEvent): string {
  if (event.type === "machine") return `${clock(event.time)}  ${event.machine}  machine  ${event.action}`;
  const [time = "", ...rest] = eventLine(event).split("  ");
  return [time, event.machine, ...rest].join("  ");
}
