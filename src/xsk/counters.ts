// SPDX-License-Identifier: MIT
import { getSocketOption, SOL_XDP } from "../linux/index.js";
import { XDP_STATISTICS } from "./abi.js";
import type { CopyMode } from "./bind.js";
import type { Engine } from "./engine.js";

/** What a socket has counted itself, since it was opened. */
export class Counters {
  received = 0;
  receivedBytes = 0;
  /** Packets given to the kernel to be sent. */
  sent = 0;
  /** Of those, how many came back: sent, or dropped by the driver. */
  completed = 0;
  /** Packets that the program dropped, or did nothing with. */
  dropped = 0;
  /** Packets that went to another socket. */
  forwarded = 0;
  /** Packets that were taken out of the ring, to be kept. */
  taken = 0;
  /** Packets that were dropped because the TX ring of their socket was full. */
  ringFull = 0;
  /** Packets that were dropped because they became longer than the frames that they came in, and no other was free. */
  noFrame = 0;
  /** Packets that were dropped because they were empty, or not inside their frame. */
  invalid = 0;
  /** Calls of sendto(2), and of recvfrom(2). */
  sendWakeups = 0;
  receiveWakeups = 0;
  /** Times that it waited: calls of poll(2) or nanosleep(2), or turns of the event loop. */
  waits = 0;
}

/** Where the packets of a socket went: the kernel's own counters (XDP_STATISTICS, Linux 5.9) and ours, in one table. */
export interface XskStatistics {
  readonly received: number;
  readonly receivedBytes: number;
  readonly sent: number;
  readonly completed: number;
  readonly forwarded: number;
  readonly taken: number;
  /** By the program, or because it did nothing with them. */
  readonly dropped: number;
  /** By us: the TX ring was full. */
  readonly txRingFull: number;
  /** By us: it had become longer than the frames that it came in, and no other was free (`multiBuffer`). */
  readonly noFrame: number;
  /** By us: empty, or not inside their frame. */
  readonly invalid: number;
  /** By the kernel, for another reason than those below. */
  readonly rxDropped: number;
  /** By the kernel: the RX ring was full, that is, the program too slow. */
  readonly rxRingFull: number;
  /** By the kernel: no frame to receive into. With zero copy it is how often the driver looked for one in vain, not packets. */
  readonly fillRingEmpty: number;
  /** Descriptors of the fill and TX rings that the kernel refused: outside the UMEM. */
  readonly rxInvalid: number;
  readonly txInvalid: number;
  /** Times that the kernel looked into an empty TX ring. */
  readonly txRingEmpty: number;
  readonly sendWakeups: number;
  readonly receiveWakeups: number;
  readonly waits: number;
  /** Frames of the UMEM that are free; those that the kernel has to receive into, and to send. */
  readonly free: number;
  readonly filling: number;
  readonly sending: number;
}

const NONE: XskStatistics = {
  received: 0,
  receivedBytes: 0,
  sent: 0,
  completed: 0,
  forwarded: 0,
  taken: 0,
  dropped: 0,
  txRingFull: 0,
  noFrame: 0,
  invalid: 0,
  rxDropped: 0,
  rxRingFull: 0,
  fillRingEmpty: 0,
  rxInvalid: 0,
  txInvalid: 0,
  txRingEmpty: 0,
  sendWakeups: 0,
  receiveWakeups: 0,
  waits: 0,
  free: 0,
  filling: 0,
  sending: 0,
};

/** Packets that the kernel had for the socket, and dropped. With zero copy an empty fill ring is no packet: see `fillRingEmpty`. */
export function missedPackets(socket: { readonly copy: CopyMode; readonly statistics: XskStatistics }): number {
  const { rxDropped, rxRingFull, fillRingEmpty } = socket.statistics;
  return rxDropped + rxRingFull + (socket.copy === "zerocopy" ? 0 : fillRingEmpty);
}

/** All together. */
export function addStatistics(all: readonly XskStatistics[]): XskStatistics {
  const names = Object.keys(NONE) as (keyof XskStatistics)[];
  const sums = names.map((name) => [name, all.reduce((sum, one) => sum + (one[name] ?? 0), 0)]);
  return Object.fromEntries(sums) as XskStatistics;
}

/** `struct xdp_statistics`: all zero where the socket is closed. */
function kernelStatistics(fd: number): readonly number[] {
  const raw = new BigUint64Array(6);
  if (fd >= 0) getSocketOption(fd, SOL_XDP, XDP_STATISTICS, raw);
  return Array.from(raw, Number);
}

/** What the kernel and this side counted, of one socket. */
export function statisticsOf(engine: Engine): XskStatistics {
  const { counters, umem } = engine;
  const [rxDropped = 0, rxInvalid = 0, txInvalid = 0, rxRingFull = 0, fillRingEmpty = 0, txRingEmpty = 0] =
    kernelStatistics(engine.fd);
  return {
    received: counters.received,
    receivedBytes: counters.receivedBytes,
    sent: counters.sent,
    completed: counters.completed,
    forwarded: counters.forwarded,
    taken: counters.taken,
    dropped: counters.dropped,
    txRingFull: counters.ringFull,
    noFrame: counters.noFrame,
    invalid: counters.invalid,
    // In copy mode the kernel counts one that found no frame as dropped, too.
    rxDropped: engine.zeroCopy ? rxDropped : Math.max(0, rxDropped - fillRingEmpty),
    rxRingFull,
    fillRingEmpty,
    rxInvalid,
    txInvalid,
    txRingEmpty,
    sendWakeups: counters.sendWakeups,
    receiveWakeups: counters.receiveWakeups,
    waits: counters.waits,
    free: umem.free,
    filling: engine.fd < 0 ? 0 : engine.fill.size - engine.owed,
    sending: engine.sending,
  };
}
