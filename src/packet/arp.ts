// SPDX-License-Identifier: MIT
import { addressOf, macOf, viewOf, withPayload } from "./bytes.js";
import { ETHERTYPE } from "./protocol.js";

export const ARP_OPERATION = { REQUEST: 1, REPLY: 2 } as const;

/** ARP for IPv4 over Ethernet (RFC 826): MACs of 6 bytes, addresses of 4. */
export interface ArpPacket {
  readonly operation: number;
  readonly senderMac: Uint8Array;
  readonly sender: Uint8Array;
  readonly targetMac: Uint8Array;
  readonly target: Uint8Array;
}

export interface ArpFields {
  readonly operation: number;
  readonly senderMac: string | Uint8Array;
  readonly sender: string | Uint8Array;
  /** Zeros, when left out: a request asks for it. */
  readonly targetMac?: string | Uint8Array;
  readonly target: string | Uint8Array;
}

/** Undefined when it is cut short or about something else than IPv4 over Ethernet. */
export function parseArp(bytes: Uint8Array): ArpPacket | undefined {
  if (bytes.length < 28) return undefined;
  const view = viewOf(bytes);
  if (view.getUint16(0) !== 1 || view.getUint16(2) !== ETHERTYPE.IPV4 || view.getUint16(4) !== 0x0604) return undefined;
  return {
    operation: view.getUint16(6),
    senderMac: bytes.subarray(8, 14),
    sender: bytes.subarray(14, 18),
    targetMac: bytes.subarray(18, 24),
    target: bytes.subarray(24, 28),
  };
}

export function buildArp(fields: ArpFields): Uint8Array {
  const { bytes, view } = withPayload(28, new Uint8Array(0));
  view.setUint16(0, 1);
  view.setUint16(2, ETHERTYPE.IPV4);
  view.setUint16(4, 0x0604); // lengths of both kinds of address
  view.setUint16(6, fields.operation);
  bytes.set(macOf(fields.senderMac), 8);
  bytes.set(addressOf(fields.sender, 4), 14);
  if (fields.targetMac !== undefined) bytes.set(macOf(fields.targetMac), 18);
  bytes.set(addressOf(fields.target, 4), 24);
  return bytes;
}
