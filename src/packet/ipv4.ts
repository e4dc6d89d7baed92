// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import { addressOf, viewOf, withPayload } from "./bytes.js";
import { internetChecksum } from "./checksum.js";

export interface IPv4Packet {
  /** 4 bytes each, network order. */
  readonly src: Uint8Array;
  readonly dst: Uint8Array;
  readonly protocol: number;
  readonly ttl: number;
  readonly tos: number;
  readonly id: number;
  readonly dontFragment: boolean;
  readonly moreFragments: boolean;
  /** Bytes, a multiple of 8. */
  readonly fragmentOffset: number;
  readonly options: Uint8Array;
  readonly checksumValid: boolean;
  /** Up to the total length; padding behind it is left out. A view, not a copy. */
  readonly payload: Uint8Array;
}

export interface IPv4Fields {
  readonly src: string | Uint8Array;
  readonly dst: string | Uint8Array;
  readonly protocol: number;
  readonly ttl?: number;
  readonly tos?: number;
  readonly id?: number;
  readonly dontFragment?: boolean;
  readonly moreFragments?: boolean;
  /** Bytes, a multiple of 8. */
  readonly fragmentOffset?: number;
  /** Padded with zeros to a multiple of 4; at most 40 bytes. */
  readonly options?: Uint8Array;
}

/** Reads an IPv4 packet (RFC 791); undefined when it is cut short, of another version, or its lengths are wrong. */
export function parseIPv4Packet(bytes: Uint8Array): IPv4Packet | undefined {
  if (bytes.length < 20) return undefined;
  const view = viewOf(bytes);
  const header = (view.getUint8(0) & 15) * 4;
  const total = view.getUint16(2);
  if (view.getUint8(0) >> 4 !== 4 || header < 20 || total < header || total > bytes.length) return undefined;
  const where = view.getUint16(6);
  return {
    src: bytes.subarray(12, 16),
    dst: bytes.subarray(16, 20),
    protocol: view.getUint8(9),
    ttl: view.getUint8(8),
    tos: view.getUint8(1),
    id: view.getUint16(4),
    dontFragment: (where & 0x4000) !== 0,
    moreFragments: (where & 0x2000) !== 0,
    fragmentOffset: (where & 0x1fff) * 8,
    options: bytes.subarray(20, header),
    checksumValid: internetChecksum(bytes.subarray(0, header)) === 0,
    payload: bytes.subarray(header, total),
  };
}

/** @throws XDPCTL_E_USAGE for a wrong address, options over 40 bytes, or a packet over 65,535. */
export function buildIPv4Packet(fields: IPv4Fields, payload: Uint8Array): Uint8Array {
  const options = fields.options ?? new Uint8Array(0);
  const header = 20 + Math.ceil(options.length / 4) * 4;
  if (header > 60) throw new XdpctlError("XDPCTL_E_USAGE", `${options.length} bytes of IPv4 options: 40 fit`);
  if (header + payload.length > 65535)
    throw new XdpctlError("XDPCTL_E_USAGE", `an IPv4 packet of ${header + payload.length} bytes: 65,535 fit`);
  const { bytes, view } = withPayload(header, payload);
  view.setUint8(0, 0x40 | (header / 4));
  view.setUint8(1, fields.tos ?? 0);
  view.setUint16(2, bytes.length);
  view.setUint16(4, fields.id ?? 0);
  const flags = (fields.dontFragment ? 0x4000 : 0) | (fields.moreFragments ? 0x2000 : 0);
  view.setUint16(6, flags | (((fields.fragmentOffset ?? 0) >> 3) & 0x1fff));
  view.setUint8(8, fields.ttl ?? 64);
  view.setUint8(9, fields.protocol);
  bytes.set(addressOf(fields.src, 4), 12);
  bytes.set(addressOf(fields.dst, 4), 16);
  bytes.set(options, 20);
  view.setUint16(10, internetChecksum(bytes.subarray(0, header)));
  return bytes;
}
