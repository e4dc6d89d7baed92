// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import { addressOf, viewOf, withPayload } from "./bytes.js";
import { IP_PROTOCOL, isExtensionHeader } from "./protocol.js";

/** One extension header, whole, with its own next-header byte in front. */
export interface ExtensionHeader {
  readonly type: number;
  readonly bytes: Uint8Array;
}

export interface IPv6Packet {
  /** 16 bytes each, network order. */
  readonly src: Uint8Array;
  readonly dst: Uint8Array;
  readonly hopLimit: number;
  readonly trafficClass: number;
  readonly flowLabel: number;
  readonly extensions: readonly ExtensionHeader[];
  /** What follows the extensions; in a later fragment, what the whole datagram has at that place. */
  readonly protocol: number;
  /** Bytes; undefined without a fragment header. */
  readonly fragmentOffset: number | undefined;
  readonly moreFragments: boolean;
  /** After the extensions, up to the payload length: a view, not a copy. */
  readonly payload: Uint8Array;
}

export interface IPv6Fields {
  readonly src: string | Uint8Array;
  readonly dst: string | Uint8Array;
  /** What the payload is. */
  readonly protocol: number;
  readonly hopLimit?: number;
  readonly trafficClass?: number;
  readonly flowLabel?: number;
  /** In order; their next-header bytes are filled in. */
  readonly extensions?: readonly ExtensionHeader[];
}

/** The bytes of an extension header of `type` that begins at `offset`, by its own length field. */
function extensionLength(view: DataView, offset: number, type: number): number {
  if (type === IP_PROTOCOL.FRAGMENT) return 8;
  const length = view.getUint8(offset + 1);
  return type === IP_PROTOCOL.AUTH ? (length + 2) * 4 : (length + 1) * 8;
}

/**
 * Reads an IPv6 packet and its extension headers (RFC 8200); undefined when it is cut short, of another version, or
 * its lengths are wrong. Jumbograms are not read.
 */
export function parseIPv6Packet(bytes: Uint8Array): IPv6Packet | undefined {
  if (bytes.length < 40) return undefined;
  const view = viewOf(bytes);
  const first = view.getUint32(0);
  const end = 40 + view.getUint16(4);
  if (first >>> 28 !== 6 || end > bytes.length) return undefined;
  const extensions: ExtensionHeader[] = [];
  let protocol = view.getUint8(6);
  let offset = 40;
  let fragmentOffset: number | undefined;
  let moreFragments = false;
  while (isExtensionHeader(protocol) && (fragmentOffset ?? 0) === 0) {
    if (offset + 8 > end) return undefined;
    const length = extensionLength(view, offset, protocol);
    if (offset + length > end) return undefined;
    if (protocol === IP_PROTOCOL.FRAGMENT) {
      fragmentOffset = view.getUint16(offset + 2) & 0xfff8;
      moreFragments = (view.getUint16(offset + 2) & 1) !== 0;
    }
    extensions.push({ type: protocol, bytes: bytes.subarray(offset, offset + length) });
    protocol = view.getUint8(offset);
    offset += length;
  }
  return {
    src: bytes.subarray(8, 24),
    dst: bytes.subarray(24, 40),
    hopLimit: view.getUint8(7),
    trafficClass: (first >>> 20) & 255,
    flowLabel: first & 0xfffff,
    extensions,
    protocol,
    fragmentOffset,
    moreFragments,
    payload: bytes.subarray(offset, end),
  };
}

/** @throws XDPCTL_E_USAGE for a wrong address, or more than 65,535 bytes behind the header. */
export function buildIPv6Packet(fields: IPv6Fields, payload: Uint8Array): Uint8Array {
  const extensions = fields.extensions ?? [];
  const length = extensions.reduce((sum, extension) => sum + extension.bytes.length, 0);
  if (length + payload.length > 65535)
    throw new XdpctlError("XDPCTL_E_USAGE", `an IPv6 payload of ${length + payload.length} bytes: 65,535 fit`);
  const { bytes, view } = withPayload(40 + length, payload);
  view.setUint32(0, (6 << 28) | ((fields.trafficClass ?? 0) << 20) | ((fields.flowLabel ?? 0) & 0xfffff));
  view.setUint16(4, bytes.length - 40);
  view.setUint8(6, extensions[0]?.type ?? fields.protocol);
  view.setUint8(7, fields.hopLimit ?? 64);
  bytes.set(addressOf(fields.src, 6), 8);
  bytes.set(addressOf(fields.dst, 6), 24);
  let offset = 40;
  for (const [i, extension] of extensions.entries()) {
    bytes.set(extension.bytes, offset);
    view.setUint8(offset, extensions[i + 1]?.type ?? fields.protocol);
    offset += extension.bytes.length;
  }
  return bytes;
}

/** A fragment header (RFC 8200 §4.5); `offset` in bytes, a multiple of 8. */
export function fragmentHeader(offset: number, moreFragments: boolean, id: number): ExtensionHeader {
  const { bytes, view } = withPayload(8, new Uint8Array(0));
  view.setUint16(2, (offset & 0xfff8) | (moreFragments ? 1 : 0));
  view.setUint32(4, id);
  return { type: IP_PROTOCOL.FRAGMENT, bytes };
}

/** Hop-by-hop or destination options that hold nothing but padding; `length` is a multiple of 8, up to 2,048. */
export function optionsHeader(
  type: typeof IP_PROTOCOL.HOP_BY_HOP | typeof IP_PROTOCOL.DESTINATION,
  length = 8,
): ExtensionHeader {
  const { bytes, view } = withPayload(length, new Uint8Array(0));
  view.setUint8(1, length / 8 - 1);
  // PadN takes at most 257 bytes.
  for (let offset = 2; offset < length; ) {
    const size = Math.min(length - offset, 257);
    if (size > 1) {
      view.setUint8(offset, 1);
      view.setUint8(offset + 1, size - 2);
    }
    offset += size;
  }
  return { type, bytes };
}
