// SPDX-License-Identifier: MIT
import {
  ENHANCED_PACKET,
  EPB_DROPCOUNT,
  EPB_FLAGS,
  EPB_QUEUE,
  EPB_VERDICT,
  OPT_COMMENT,
  VERDICT_XDP,
} from "./pcapng-options.js";

/** draft-ietf-opsawg-pcapng: block types, option codes. */
const SECTION_HEADER = 0x0a0d0d0a;
const BYTE_ORDER = 0x1a2b3c4d;
const INTERFACE = 1;
const STATISTICS = 5;
const SHB_HARDWARE = 2;
const SHB_OS = 3;
const SHB_APPLICATION = 4;
const IF_NAME = 2;
const IF_DESCRIPTION = 3;
const IF_TSRESOL = 9;
const IF_FILTER = 11;
const ISB_IFRECV = 4;
const ISB_IFDROP = 5;
const ISB_OSDROP = 7;
const ISB_USRDELIV = 8;
const LINKTYPE_ETHERNET = 1;

type Option = readonly [code: number, value: Uint8Array];

const encoder = new TextEncoder();
const text = (code: number, value: string | undefined): Option[] =>
  value === undefined || value === "" ? [] : [[code, encoder.encode(value).subarray(0, 65_535)]];

function u64(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value, true);
  return bytes;
}

const padded = (length: number): number => (length + 3) & ~3;

/** A block: type, length, body, options, length again; all numbers little-endian, all parts padded to 4 bytes. */
function block(type: number, body: Uint8Array, options: readonly Option[]): Uint8Array {
  const optionBytes = options.reduce((sum, [, value]) => sum + 4 + padded(value.length), 0);
  const total = 12 + padded(body.length) + (options.length === 0 ? 0 : optionBytes + 4);
  const out = new Uint8Array(total);
  const view = new DataView(out.buffer);
  view.setUint32(0, type, true);
  view.setUint32(4, total, true);
  out.set(body, 8);
  let at = 8 + padded(body.length);
  for (const [code, value] of options) {
    view.setUint16(at, code, true);
    view.setUint16(at + 2, value.length, true);
    out.set(value, at + 4);
    at += 4 + padded(value.length);
  }
  view.setUint32(total - 4, total, true);
  return out;
}

export interface PcapngSection {
  readonly application?: string;
  readonly hardware?: string;
  readonly os?: string;
  readonly comment?: string;
}

/** The beginning of a file: Section Header Block. */
export function pcapngSection(section: PcapngSection = {}): Uint8Array {
  const body = new Uint8Array(16);
  const view = new DataView(body.buffer);
  view.setUint32(0, BYTE_ORDER, true);
  view.setUint16(4, 1, true);
  view.setUint16(6, 0, true);
  // The section's length is not known beforehand.
  view.setBigInt64(8, -1n, true);
  return block(SECTION_HEADER, body, [
    ...text(OPT_COMMENT, section.comment),
    ...text(SHB_HARDWARE, section.hardware),
    ...text(SHB_OS, section.os),
    ...text(SHB_APPLICATION, section.application),
  ]);
}

export interface PcapngInterface {
  readonly name: string;
  readonly description?: string;
  readonly comment?: string;
  /** The filter that packets passed, in tcpdump's language. */
  readonly filter?: string;
  /** Bytes of a packet that are kept; 0, the default, is all of them. */
  readonly snaplen?: number;
}

/** Interface Description Block: Ethernet, time stamps in nanoseconds. The first one of a file is interface 0. */
export function pcapngInterface({ name, description, comment, filter, snaplen = 0 }: PcapngInterface): Uint8Array {
  const body = new Uint8Array(8);
  const view = new DataView(body.buffer);
  view.setUint16(0, LINKTYPE_ETHERNET, true);
  view.setUint32(4, snaplen, true);
  // 0: what follows is a filter as text.
  const kind: Option[] = filter === undefined ? [] : [[IF_FILTER, Uint8Array.from([0, ...encoder.encode(filter)])]];
  return block(INTERFACE, body, [
    ...text(OPT_COMMENT, comment),
    ...text(IF_NAME, name),
    ...text(IF_DESCRIPTION, description),
    [IF_TSRESOL, Uint8Array.of(9)],
    ...kind,
  ]);
}

export interface PcapngPacket {
  /** Number of the interface, from 0. */
  readonly interface?: number;
  /** Nanoseconds since 1970, UTC. */
  readonly time: bigint;
  readonly direction?: "in" | "out";
  /** Bytes on the wire, where `data` has not all of them. */
  readonly length?: number;
  readonly data: Uint8Array;
  /** Packets that were lost between this one and the one before. */
  readonly dropped?: bigint;
  /** The interface's queue that it came in by. */
  readonly queue?: number;
  /** What an XDP program said of it, in the order of `enum xdp_action`. */
  readonly verdict?: PcapngVerdict;
}

const VERDICTS = ["aborted", "drop", "pass", "tx", "redirect"] as const;
export type PcapngVerdict = (typeof VERDICTS)[number];

/** Enhanced Packet Block. */
export function pcapngPacket(packet: PcapngPacket): Uint8Array {
  const { data, time, direction, dropped, queue, verdict } = packet;
  const body = new Uint8Array(20 + data.length);
  const view = new DataView(body.buffer);
  view.setUint32(0, packet.interface ?? 0, true);
  view.setUint32(4, Number(time >> 32n), true);
  view.setUint32(8, Number(time & 0xffff_ffffn), true);
  view.setUint32(12, data.length, true);
  view.setUint32(16, packet.length ?? data.length, true);
  body.set(data, 20);
  const flags = direction === undefined ? [] : [direction === "in" ? 1 : 2, 0, 0, 0];
  return block(ENHANCED_PACKET, body, [
    ...(flags.length === 0 ? [] : [[EPB_FLAGS, Uint8Array.from(flags)] as const]),
    ...(dropped === undefined || dropped === 0n ? [] : [[EPB_DROPCOUNT, u64(dropped)] as const]),
    ...(queue === undefined ? [] : [[EPB_QUEUE, u64(BigInt(queue)).subarray(0, 4)] as const]),
    ...(verdict === undefined
      ? []
      : [[EPB_VERDICT, Uint8Array.of(VERDICT_XDP, ...u64(BigInt(VERDICTS.indexOf(verdict))))] as const]),
  ]);
}

export interface PcapngStatistics {
  readonly interface?: number;
  /** Nanoseconds since 1970, UTC. */
  readonly time: bigint;
  /** Packets that are in the file. */
  readonly delivered: bigint;
  /** Packets that the kernel dropped because its buffer was full. */
  readonly dropped: bigint;
  /** Packets that came to the interface, before any filter, where that is known: then what was dropped is the interface's. */
  readonly received?: bigint;
}

/** Interface Statistics Block: at the end of a capture. */
export function pcapngStatistics(statistics: PcapngStatistics): Uint8Array {
  const body = new Uint8Array(12);
  const view = new DataView(body.buffer);
  view.setUint32(0, statistics.interface ?? 0, true);
  view.setUint32(4, Number(statistics.time >> 32n), true);
  view.setUint32(8, Number(statistics.time & 0xffff_ffffn), true);
  const { received } = statistics;
  return block(STATISTICS, body, [
    ...(received === undefined ? [] : [[ISB_IFRECV, u64(received)] as const]),
    [ISB_IFDROP, u64(received === undefined ? 0n : statistics.dropped)],
    [ISB_OSDROP, u64(statistics.dropped)],
    [ISB_USRDELIV, u64(statistics.delivered)],
  ]);
}

/** Bytes of an Interface Statistics Block without options. */
const SHORTEST = 24;

/** What the Interface Statistics Block says with which a file of ours ends; undefined where it ends otherwise. */
export function readPcapngStatistics(end: Uint8Array): Pick<PcapngStatistics, "delivered" | "dropped"> | undefined {
  const view = new DataView(end.buffer, end.byteOffset, end.byteLength);
  if (view.byteLength < SHORTEST) return undefined;
  const length = view.getUint32(view.byteLength - 4, true);
  const start = view.byteLength - length;
  if (length < SHORTEST || start < 0 || view.getUint32(start, true) !== STATISTICS) return undefined;
  const found = new Map<number, bigint>();
  for (let at = start + 20; at + 12 <= view.byteLength; ) {
    const size = view.getUint16(at + 2, true);
    if (size === 8) found.set(view.getUint16(at, true), view.getBigUint64(at + 4, true));
    at += 4 + padded(size);
  }
  return { delivered: found.get(ISB_USRDELIV) ?? 0n, dropped: found.get(ISB_OSDROP) ?? 0n };
}
