// SPDX-License-Identifier: MIT
import { NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, RTM_DELQDISC, RTM_NEWQDISC } from "./constants.js";
import {
  attribute,
  attributes,
  join,
  type NetlinkMessage,
  nested,
  type Part,
  type Request,
  readText,
  text,
  u32,
} from "./message.js";

/** TC_H_ROOT: the parent of an interface's outermost queueing discipline. */
export const QDISC_ROOT = 0xffffffff;

/** A token bucket filter (tc-tbf(8)): what leaves the interface has a rate. */
export interface TbfSettings {
  /** Bits per second. */
  readonly rate: number;
  /** Bytes that may leave at once; at least one frame. */
  readonly burst: number;
  /** Bytes that may wait; what comes on top is dropped. */
  readonly limit: number;
}

/** The network emulator (tc-netem(8)): what leaves the interface is late, or lost. */
export interface NetemSettings {
  /** Microseconds, up to 274 seconds. */
  readonly delay: number;
  /** Microseconds by which the delay varies, evenly, to both sides. */
  readonly jitter: number;
  /** Per cent of the packets, as the four that follow. */
  readonly loss: number;
  readonly duplicate: number;
  readonly corrupt: number;
  /** Those that leave without their delay, and so before others. */
  readonly reorder: number;
  /** Per cent by which a packet's delay and loss are as those of the packet before. */
  readonly jitterCorrelation: number;
  readonly lossCorrelation: number;
  /** Packets that may wait. */
  readonly limit: number;
}

/** A queueing discipline as the kernel shows it. */
export interface Qdisc {
  /** ifindex */
  readonly index: number;
  readonly kind: string;
  /** Major number in the upper 16 bits; 0 for those that the kernel made by itself. */
  readonly handle: number;
  /** A class's number, or QDISC_ROOT. */
  readonly parent: number;
  readonly tbf?: TbfSettings;
  readonly netem?: NetemSettings;
  readonly sent: { readonly bytes: number; readonly packets: number };
  readonly dropped: number;
  /** Bytes that wait now. */
  readonly backlog: number;
}

const TCA = { KIND: 1, OPTIONS: 2, STATS2: 7 } as const;
const TCA_STATS = { BASIC: 1, QUEUE: 3 } as const;
const TCA_NETEM = { CORR: 1, REORDER: 3, CORRUPT: 4 } as const;
const TCA_TBF = { PARMS: 1, RATE64: 4, BURST: 6 } as const;
/** sizeof(struct tcmsg), sizeof(struct tc_netem_qopt), sizeof(struct tc_tbf_qopt) */
const HEADER = 20;
const NETEM = 24;
const TBF = 36;
/** PSCHED_TICK: the unit of times in traffic control, since Linux 2.6.31. */
const TICK_NS = 64;
const LINKLAYER_ETHERNET = 1;
const U32_MAX = 0xffffffff;

/** struct tcmsg */
function header(index: number, parent: number, handle: number): Buffer {
  const bytes = Buffer.alloc(HEADER);
  bytes.writeInt32LE(index, 4);
  bytes.writeUInt32LE(handle, 8);
  bytes.writeUInt32LE(parent, 12);
  return bytes;
}

const ticks = (microseconds: number): number => Math.min(Math.round((microseconds * 1000) / TICK_NS), U32_MAX);

function tbfOptions({ rate, burst, limit }: TbfSettings): Part {
  const bytes = Math.round(rate / 8);
  const parms = Buffer.alloc(TBF);
  // The kernel reads the link layer off a table of transmission times, unless it is named.
  parms[1] = LINKLAYER_ETHERNET;
  parms.writeUInt32LE(Math.min(bytes, U32_MAX), 8);
  parms.writeUInt32LE(limit, 24);
  const parts = [attribute(TCA_TBF.PARMS, parms), u32(TCA_TBF.BURST, burst)];
  if (bytes >= U32_MAX) {
    const wide = Buffer.alloc(8);
    wide.writeBigUInt64LE(BigInt(bytes));
    parts.push(attribute(TCA_TBF.RATE64, wide));
  }
  return nested(TCA.OPTIONS, ...parts);
}

/** A share of 2^32, from and to per cent. */
const share = (percent: number): number => Math.min(Math.round((percent / 100) * U32_MAX), U32_MAX);
const percent = (of: number): number => Math.round((of / U32_MAX) * 1e6) / 1e4;

function words(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [i, value] of values.entries()) bytes.writeUInt32LE(value, 4 * i);
  return bytes;
}

function netemOptions(netem: NetemSettings): Part {
  const { delay, jitter, limit, loss, duplicate, corrupt, reorder } = netem;
  // With a gap of 1 each packet may overtake; with 0 none does.
  const gap = reorder > 0 ? 1 : 0;
  // A change leaves as it is what it does not name, so all is named.
  const options = join([
    words(ticks(delay), limit, share(loss), gap, share(duplicate), ticks(jitter)),
    attribute(TCA_NETEM.CORR, words(share(netem.jitterCorrelation), share(netem.lossCorrelation), 0)),
    attribute(TCA_NETEM.REORDER, words(share(reorder), 0)),
    attribute(TCA_NETEM.CORRUPT, words(share(corrupt), 0)),
  ]);
  return attribute(TCA.OPTIONS, options);
}

/** Where a queueing discipline stands, and what it is called there. */
export interface QdiscPlace {
  /** ifindex */
  readonly index: number;
  /** QDISC_ROOT, or a class of another one. */
  readonly parent: number;
  readonly handle: number;
}

/** Requests for `RouteSocket.execute`. `change` needs one of the same kind and handle there, which keeps its queue. */
export const qdiscRequests = {
  tbf: (place: QdiscPlace, settings: TbfSettings, change: boolean, what: string): Request =>
    set(place, "tbf", tbfOptions(settings), change, what),
  netem: (place: QdiscPlace, settings: NetemSettings, change: boolean, what: string): Request =>
    set(place, "netem", netemOptions(settings), change, what),
  delete: ({ index, parent, handle }: QdiscPlace, what: string): Request => ({
    type: RTM_DELQDISC,
    flags: 0,
    body: header(index, parent, handle),
    what,
  }),
};

function set(place: QdiscPlace, kind: string, options: Part, change: boolean, what: string): Request {
  const flags = NLM_F_CREATE | (change ? NLM_F_REPLACE : NLM_F_EXCL);
  const { index, parent, handle } = place;
  return { type: RTM_NEWQDISC, flags, body: [header(index, parent, handle), text(TCA.KIND, kind), options], what };
}

function decodeTbf(options: Buffer): TbfSettings | undefined {
  const found = attributes(options);
  const parms = found.get(TCA_TBF.PARMS);
  if (parms === undefined || parms.length < TBF) return undefined;
  const wide = found.get(TCA_TBF.RATE64);
  const bytes = wide === undefined ? parms.readUInt32LE(8) : Number(wide.readBigUInt64LE(0));
  // The kernel keeps the time that a burst takes.
  const burst = Math.round((parms.readUInt32LE(28) * TICK_NS * bytes) / 1e9);
  return { rate: bytes * 8, burst, limit: parms.readUInt32LE(24) };
}

function decodeNetem(options: Buffer): NetemSettings | undefined {
  if (options.length < NETEM) return undefined;
  const microseconds = (at: number): number => Math.round((options.readUInt32LE(at) * TICK_NS) / 1000);
  const found = attributes(options.subarray(NETEM));
  const shareOf = (type: number, word = 0): number => {
    const data = found.get(type);
    return data === undefined || data.length < 4 * word + 4 ? 0 : percent(data.readUInt32LE(4 * word));
  };
  return {
    delay: microseconds(0),
    limit: options.readUInt32LE(4),
    loss: percent(options.readUInt32LE(8)),
    duplicate: percent(options.readUInt32LE(16)),
    jitter: microseconds(20),
    jitterCorrelation: shareOf(TCA_NETEM.CORR),
    lossCorrelation: shareOf(TCA_NETEM.CORR, 1),
    reorder: shareOf(TCA_NETEM.REORDER),
    corrupt: shareOf(TCA_NETEM.CORRUPT),
  };
}

/** A queueing discipline of an RTM_NEWQDISC message; undefined for what is too short to be one. */
export function decodeQdisc(message: NetlinkMessage): Qdisc | undefined {
  const { data } = message;
  if (data.length < HEADER) return undefined;
  const found = attributes(data.subarray(HEADER));
  const kind = readText(found.get(TCA.KIND));
  const options = found.get(TCA.OPTIONS) ?? Buffer.alloc(0);
  const statistics = attributes(found.get(TCA.STATS2) ?? Buffer.alloc(0));
  const basic = statistics.get(TCA_STATS.BASIC);
  const queue = statistics.get(TCA_STATS.QUEUE);
  const tbf = kind === "tbf" ? decodeTbf(options) : undefined;
  const netem = kind === "netem" ? decodeNetem(options) : undefined;
  return {
    index: data.readInt32LE(4),
    kind,
    handle: data.readUInt32LE(8),
    parent: data.readUInt32LE(12),
    ...(tbf === undefined ? {} : { tbf }),
    ...(netem === undefined ? {} : { netem }),
    sent:
      basic === undefined || basic.length < 12
        ? { bytes: 0, packets: 0 }
        : { bytes: Number(basic.readBigUInt64LE(0)), packets: basic.readUInt32LE(8) },
    dropped: queue === undefined || queue.length < 12 ? 0 : queue.readUInt32LE(8),
    backlog: queue === undefined || queue.length < 12 ? 0 : queue.readUInt32LE(4),
  };
}

/** Body of an RTM_GETQDISC dump. */
export const QDISC_DUMP: Part = header(0, 0, 0);
