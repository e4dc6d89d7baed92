// SPDX-License-Identifier: MIT
import { addressText } from "../linux/index.js";
import type { Loop } from "../loop/index.js";
import type { GenericMessage } from "./generic.js";
import { GenericMonitor } from "./generic-monitor.js";
import { MptcpSocket } from "./mptcp.js";

/** enum mptcp_event_type */
const EVENTS = new Map([
  [1, "created"],
  [2, "established"],
  [3, "closed"],
  [6, "announced"],
  [7, "removed"],
  [10, "sub_established"],
  [11, "sub_closed"],
  [13, "sub_priority"],
  [15, "listener_created"],
  [16, "listener_closed"],
] as const);

/** enum mptcp_event_attr */
const ATTR = {
  TOKEN: 1,
  LOC_ID: 3,
  REM_ID: 4,
  SADDR4: 5,
  SADDR6: 6,
  DADDR4: 7,
  DADDR6: 8,
  SPORT: 9,
  DPORT: 10,
  BACKUP: 11,
  ERROR: 12,
  FLAGS: 13,
  IF_IDX: 15,
  RESET_REASON: 16,
  SERVER_SIDE: 18,
} as const;
/** MPTCP_PM_EV_FLAG_SERVER_SIDE, which newer kernels set beside, or for, the attribute. */
const FLAG_SERVER_SIDE = 2;

export type MptcpEventName = typeof EVENTS extends Map<number, infer N> ? N : never;

/**
 * What the kernel tells of connections: `created` (the first subflow), `established` (more may come), `closed`;
 * `announced` and `removed` (an address of the peer); `sub_established`, `sub_closed`, `sub_priority`;
 * `listener_created`, `listener_closed` (Linux 6.2). What an event does not carry is missing.
 */
export interface MptcpEvent {
  readonly type: "mptcp";
  /** ISO 8601, when it was read. */
  readonly time: string;
  readonly event: MptcpEventName;
  /** The connection's local token; listeners have none. */
  readonly token?: number;
  readonly localId?: number;
  readonly remoteId?: number;
  /** Ours, with the port in host order. */
  readonly source?: string;
  readonly sourcePort?: number;
  /** The peer's. */
  readonly destination?: string;
  readonly destinationPort?: number;
  readonly backup?: boolean;
  /** errno of a subflow that broke. */
  readonly error?: number;
  /** Why the peer reset it (RFC 8684, 3.6). */
  readonly resetReason?: number;
  /** ifindex */
  readonly index?: number;
  /** Whether we accepted the connection. */
  readonly server?: boolean;
}

/** The event of a message of the group `mptcp_pm_events`; undefined for one that is not known. */
export function decodeMptcpEvent(message: GenericMessage, time = new Date().toISOString()): MptcpEvent | undefined {
  const event = EVENTS.get(message.command as Parameters<typeof EVENTS.get>[0]);
  if (event === undefined) return undefined;
  const found = new Map(message.attributes.map((one) => [one.type, one.data]));
  const value = <K extends string, T>(name: K, data: Buffer | undefined, size: number, read: (data: Buffer) => T) =>
    (data === undefined || data.length < size ? {} : { [name]: read(data) }) as { [P in K]?: T };
  const number = <K extends string>(name: K, type: number) =>
    value(name, found.get(type), 1, (data) => data.readUIntLE(0, Math.min(data.length, 4)));
  const port = <K extends string>(name: K, type: number) =>
    value(name, found.get(type), 2, (data) => data.readUInt16BE(0));
  const address = <K extends string>(name: K, data: Buffer | undefined) =>
    data?.length === 4 || data?.length === 16 ? value(name, data, 4, addressText) : {};
  const { flags = 0 } = number("flags", ATTR.FLAGS);
  const side = found.get(ATTR.SERVER_SIDE)?.[0];
  const serverKnown = event === "created" || event === "established";
  return {
    type: "mptcp",
    time,
    event,
    ...number("token", ATTR.TOKEN),
    ...number("localId", ATTR.LOC_ID),
    ...number("remoteId", ATTR.REM_ID),
    ...address("source", found.get(ATTR.SADDR4) ?? found.get(ATTR.SADDR6)),
    ...port("sourcePort", ATTR.SPORT),
    ...address("destination", found.get(ATTR.DADDR4) ?? found.get(ATTR.DADDR6)),
    ...port("destinationPort", ATTR.DPORT),
    ...value("backup", found.get(ATTR.BACKUP), 1, (data) => data[0] !== 0),
    ...number("error", ATTR.ERROR),
    ...number("resetReason", ATTR.RESET_REASON),
    ...number("index", ATTR.IF_IDX),
    ...(serverKnown ? { server: side === 1 || (flags & FLAG_SERVER_SIDE) !== 0 } : {}),
  };
}

export interface MptcpHandler {
  event(event: MptcpEvent): void;
  /** The kernel dropped events, at least one: read the connections anew. */
  lost(): void;
}

/** Hears what happens to the MPTCP connections of the calling thread's network namespace. Needs CAP_NET_ADMIN there. */
export function monitorMptcp(loop: Loop, handler: MptcpHandler): GenericMonitor {
  const socket = new MptcpSocket();
  try {
    return new GenericMonitor(loop, socket.family, ["mptcp_pm_events"], {
      message: (message) => {
        const event = decodeMptcpEvent(message);
        if (event !== undefined) handler.event(event);
      },
      lost: () => handler.lost(),
    });
  } finally {
    socket.close();
  }
}
