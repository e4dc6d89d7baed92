// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import { viewOf, withPayload } from "./bytes.js";
import { transportChecksum } from "./checksum.js";
import { IP_PROTOCOL } from "./protocol.js";
import type { PseudoHeader } from "./udp.js";

/** The bits of byte 13. */
export const TCP_FLAG = {
  FIN: 0x01,
  SYN: 0x02,
  RST: 0x04,
  PSH: 0x08,
  ACK: 0x10,
  URG: 0x20,
  ECE: 0x40,
  CWR: 0x80,
} as const;

export interface TcpSegment {
  readonly sport: number;
  readonly dport: number;
  readonly sequence: number;
  readonly acknowledgment: number;
  /** Bits of TCP_FLAG. */
  readonly flags: number;
  readonly window: number;
  readonly checksum: number;
  readonly urgent: number;
  readonly options: Uint8Array;
  /** A view, not a copy. */
  readonly payload: Uint8Array;
}

export interface TcpFields {
  readonly sport: number;
  readonly dport: number;
  readonly flags: number;
  readonly sequence?: number;
  readonly acknowledgment?: number;
  readonly window?: number;
  readonly urgent?: number;
  /** Padded with zeros to a multiple of 4; at most 40 bytes. */
  readonly options?: Uint8Array;
}

/** Undefined when it is cut short or its header length is wrong. */
export function parseTcp(bytes: Uint8Array): TcpSegment | undefined {
  if (bytes.length < 20) return undefined;
  const view = viewOf(bytes);
  const header = (view.getUint8(12) >> 4) * 4;
  if (header < 20 || header > bytes.length) return undefined;
  return {
    sport: view.getUint16(0),
    dport: view.getUint16(2),
    sequence: view.getUint32(4),
    acknowledgment: view.getUint32(8),
    flags: view.getUint8(13),
    window: view.getUint16(14),
    checksum: view.getUint16(16),
    urgent: view.getUint16(18),
    options: bytes.subarray(20, header),
    payload: bytes.subarray(header),
  };
}

/** A segment (RFC 9293) with its checksum. Throws XDPCTL_E_USAGE for options over 40 bytes. */
export function buildTcp(
  fields: TcpFields,
  addresses: PseudoHeader,
  payload: Uint8Array = new Uint8Array(0),
): Uint8Array {
  const options = fields.options ?? new Uint8Array(0);
  const header = 20 + Math.ceil(options.length / 4) * 4;
  if (header > 60) throw new XdpctlError("XDPCTL_E_USAGE", `${options.length} bytes of TCP options: 40 fit`);
  const { bytes, view } = withPayload(header, payload);
  view.setUint16(0, fields.sport);
  view.setUint16(2, fields.dport);
  view.setUint32(4, fields.sequence ?? 0);
  view.setUint32(8, fields.acknowledgment ?? 0);
  view.setUint8(12, (header / 4) << 4);
  view.setUint8(13, fields.flags);
  view.setUint16(14, fields.window ?? 65535);
  view.setUint16(18, fields.urgent ?? 0);
  bytes.set(options, 20);
  view.setUint16(16, transportChecksum(addresses.src, addresses.dst, IP_PROTOCOL.TCP, bytes));
  return bytes;
}
