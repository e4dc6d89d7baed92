// SPDX-License-Identifier: MIT
import { viewOf, withPayload } from "./bytes.js";
import { internetChecksum, transportChecksum } from "./checksum.js";
import { IP_PROTOCOL } from "./protocol.js";

export const ICMP_TYPE = { ECHO_REPLY: 0, UNREACHABLE: 3, ECHO: 8, TIME_EXCEEDED: 11 } as const;
export const ICMPV6_TYPE = {
  UNREACHABLE: 1,
  PACKET_TOO_BIG: 2,
  TIME_EXCEEDED: 3,
  ECHO: 128,
  ECHO_REPLY: 129,
  ROUTER_SOLICITATION: 133,
  ROUTER_ADVERTISEMENT: 134,
  NEIGHBOR_SOLICITATION: 135,
  NEIGHBOR_ADVERTISEMENT: 136,
} as const;

/** ICMP and ICMPv6 have one shape: 8 bytes, of which the last four depend on the type. */
export interface IcmpMessage {
  readonly type: number;
  readonly code: number;
  readonly checksum: number;
  /** Bytes 4 to 7 of the header as one number. */
  readonly rest: number;
  /** Of an echo: the same four bytes. */
  readonly id: number;
  readonly sequence: number;
  /** A view, not a copy. */
  readonly payload: Uint8Array;
}

export interface IcmpFields {
  readonly type: number;
  readonly code?: number;
  /** Bytes 4 to 7; for an echo `id` and `sequence` instead. */
  readonly rest?: number;
  readonly id?: number;
  readonly sequence?: number;
}

/** Undefined when it is cut short. */
export function parseIcmp(bytes: Uint8Array): IcmpMessage | undefined {
  if (bytes.length < 8) return undefined;
  const view = viewOf(bytes);
  return {
    type: view.getUint8(0),
    code: view.getUint8(1),
    checksum: view.getUint16(2),
    rest: view.getUint32(4),
    id: view.getUint16(4),
    sequence: view.getUint16(6),
    payload: bytes.subarray(8),
  };
}

function build(fields: IcmpFields, payload: Uint8Array): { bytes: Uint8Array; view: DataView } {
  const made = withPayload(8, payload);
  made.view.setUint8(0, fields.type);
  made.view.setUint8(1, fields.code ?? 0);
  if (fields.rest === undefined) {
    made.view.setUint16(4, fields.id ?? 0);
    made.view.setUint16(6, fields.sequence ?? 0);
  } else {
    made.view.setUint32(4, fields.rest);
  }
  return made;
}

/** An ICMP message (RFC 792) with its checksum. */
export function buildIcmp(fields: IcmpFields, payload: Uint8Array = new Uint8Array(0)): Uint8Array {
  const { bytes, view } = build(fields, payload);
  view.setUint16(2, internetChecksum(bytes));
  return bytes;
}

/** An ICMPv6 message (RFC 4443); its checksum covers the addresses (16 bytes each) too. */
export function buildIcmpv6(
  fields: IcmpFields,
  addresses: { readonly src: Uint8Array; readonly dst: Uint8Array },
  payload: Uint8Array = new Uint8Array(0),
): Uint8Array {
  const { bytes, view } = build(fields, payload);
  view.setUint16(2, transportChecksum(addresses.src, addresses.dst, IP_PROTOCOL.ICMPV6, bytes));
  return bytes;
}
