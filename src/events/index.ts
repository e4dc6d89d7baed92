// SPDX-License-Identifier: MIT

/** What the guard reports about packets. Ports and lengths are numbers in host order; `time` is ISO 8601. */
export interface PacketEvent {
  type: "flow" | "deny" | "rate" | "malformed";
  time: string;
  interface: string;
  ifindex: number;
  verdict: Verdict;
  reason: Reason;
  /** `tcp`, `udp`, `icmp`, `icmpv6`, `non-ip`, or the number of the IP protocol as text. */
  proto: string;
  src: string;
  dst: string;
  sport: number;
  dport: number;
  vlan: number;
  length: number;
  /** Prefix length of the rule that matched; 0 without one. */
  prefixLen: number;
  tcpFlags: number;
}

export type Verdict = "ABORTED" | "DROP" | "PASS" | "TX" | "REDIRECT";
export type Reason = "default" | "allow" | "deny-pair" | "deny-addr" | "deny-port" | "rate" | "malformed";

export const VERDICTS: readonly Verdict[] = ["ABORTED", "DROP", "PASS", "TX", "REDIRECT"];
export const REASONS: readonly Reason[] = [
  "default",
  "allow",
  "deny-pair",
  "deny-addr",
  "deny-port",
  "rate",
  "malformed",
];
/** `enum event_type` of bpf/include/xdpctl.h; index 0 is unused. */
export const PACKET_EVENT_TYPES = ["", "flow", "deny", "rate", "malformed"] as const;

/** A link came, went, or changed. */
export interface LinkEvent {
  type: "link";
  time: string;
  action: "new" | "change" | "delete";
  interface: string;
  ifindex: number;
  up: boolean;
  carrier: boolean;
}

/** A program was attached, replaced, detached, or lost its interface. */
export interface XdpEvent {
  type: "xdp";
  time: string;
  action: "attach" | "replace" | "detach" | "gone";
  interface: string;
  ifindex: number;
  program: string;
  id: number;
  mode: string;
}

/** What happens to a policy: loaded, unloaded, stopped by a limit; and what it logs. */
export interface PolicyEvent {
  type: "policy";
  time: string;
  policy: string;
  action: "load" | "unload" | "reload" | "error" | "killed" | "log" | "block" | "allow" | "limit";
  text: string;
}

/** Events that were lost, and where: the ring was full, a reader too slow, a policy too slow. */
export interface LostEvent {
  type: "lost";
  time: string;
  where: "ring" | "reader" | "policy" | "netlink";
  /** Which one, for readers and policies. */
  name: string;
  count: number;
}

/** The controller ends. */
export interface ExitEvent {
  type: "exit";
  time: string;
}

/** A machine of a lab came up or went away. */
export interface MachineEvent {
  type: "machine";
  time: string;
  lab: string;
  machine: string;
  action: "up" | "down";
}

/** What happens in a lab: in which machine is said. */
export type LabEvent = MachineEvent | ((LinkEvent | XdpEvent | LostEvent) & { lab: string; machine: string });

/** The one stream of everything that happens. */
export type XdpctlEvent = PacketEvent | LinkEvent | XdpEvent | PolicyEvent | LostEvent | ExitEvent;
export type EventType = XdpctlEvent["type"];
export const EVENT_TYPES: readonly EventType[] = [
  "flow",
  "deny",
  "rate",
  "malformed",
  "link",
  "xdp",
  "policy",
  "lost",
  "exit",
];

/** Bytes of one record of the ring buffer (`struct event`). */
export const EVENT_SIZE = 64;
/** Byte offsets in a record; integers are little-endian, `sport`, `dport`, `ethProto` and addresses network order. */
export const EVENT_OFFSET = {
  timeNs: 0,
  ifindex: 8,
  type: 12,
  verdict: 13,
  reason: 14,
  proto: 15,
  sport: 16,
  dport: 18,
  ethProto: 20,
  vlan: 22,
  length: 24,
  family: 28,
  prefixLen: 29,
  tcpFlags: 30,
  src: 32,
  dst: 48,
} as const;
