// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import { viewOf, withPayload } from "./bytes.js";
import { transportChecksum } from "./checksum.js";
import { IP_PROTOCOL } from "./protocol.js";

export interface UdpDatagram {
  readonly sport: number;
  readonly dport: number;
  /** 0: none was made (IPv4 only). */
  readonly checksum: number;
  /** Up to the length field: a view, not a copy. */
  readonly payload: Uint8Array;
}

/** Both addresses, 4 or 16 bytes each, of the IP packet around it: the checksum covers them. */
export interface PseudoHeader {
  readonly src: Uint8Array;
  readonly dst: Uint8Array;
}

/** Undefined when it is cut short or its length is wrong. */
export function parseUdp(bytes: Uint8Array): UdpDatagram | undefined {
  if (bytes.length < 8) return undefined;
  const view = viewOf(bytes);
  const length = view.getUint16(4);
  if (length < 8 || length > bytes.length) return undefined;
  return {
    sport: view.getUint16(0),
    dport: view.getUint16(2),
    checksum: view.getUint16(6),
    payload: bytes.subarray(8, length),
  };
}

/** A datagram (RFC 768); without `addresses` it has no checksum, which IPv6 doesn't allow. */
export function buildUdp(
  fields: { readonly sport: number; readonly dport: number },
  addresses?: PseudoHeader,
  payload: Uint8Array = new Uint8Array(0),
): Uint8Array {
  if (payload.length > 65527) throw new XdpctlError("XDPCTL_E_USAGE", `${payload.length} bytes in UDP: 65,527 fit`);
  const { bytes, view } = withPayload(8, payload);
  view.setUint16(0, fields.sport);
  view.setUint16(2, fields.dport);
  view.setUint16(4, bytes.length);
  if (addresses !== undefined)
    view.setUint16(6, transportChecksum(addresses.src, addresses.dst, IP_PROTOCOL.UDP, bytes) || 0xffff);
  return bytes;
}
