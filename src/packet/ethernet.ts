// SPDX-License-Identifier: MIT
import { macOf, viewOf, withPayload } from "./bytes.js";
import { ETHERTYPE } from "./protocol.js";

/** One VLAN tag (IEEE 802.1Q): its id is 0 to 4095, its priority 0 to 7. */
export interface VlanTag {
  readonly tpid: number;
  readonly id: number;
  readonly priority: number;
  readonly dropEligible: boolean;
}

export interface EthernetFrame {
  /** 6 bytes each. */
  readonly dst: Uint8Array;
  readonly src: Uint8Array;
  /** From the outermost inwards. */
  readonly vlans: readonly VlanTag[];
  /** After the tags, host order; below 0x600 it is an 802.3 length. */
  readonly etherType: number;
  /** Up to the end of the frame, padding included: a view, not a copy. */
  readonly payload: Uint8Array;
}

export interface EthernetFields {
  readonly dst: string | Uint8Array;
  readonly src: string | Uint8Array;
  readonly etherType: number;
  /** Tags from the outermost inwards; the TPID is 0x8100, and 0x88a8 for the outer of two. */
  readonly vlans?: readonly (Partial<VlanTag> & { readonly id: number })[];
}

/** Reads a frame without its check sequence, with any number of VLAN tags; undefined when it is cut short. */
export function parseEthernet(bytes: Uint8Array): EthernetFrame | undefined {
  if (bytes.length < 14) return undefined;
  const view = viewOf(bytes);
  const vlans: VlanTag[] = [];
  let offset = 14;
  let etherType = view.getUint16(12);
  while (etherType === ETHERTYPE.VLAN || etherType === ETHERTYPE.QINQ) {
    if (offset + 4 > bytes.length) return undefined;
    const tci = view.getUint16(offset);
    vlans.push({ tpid: etherType, id: tci & 0xfff, priority: tci >> 13, dropEligible: (tci & 0x1000) !== 0 });
    etherType = view.getUint16(offset + 2);
    offset += 4;
  }
  return { dst: bytes.subarray(0, 6), src: bytes.subarray(6, 12), vlans, etherType, payload: bytes.subarray(offset) };
}

/** A frame without check sequence and padding. */
export function buildEthernet(fields: EthernetFields, payload: Uint8Array): Uint8Array {
  const vlans = fields.vlans ?? [];
  const { bytes, view } = withPayload(14 + vlans.length * 4, payload);
  bytes.set(macOf(fields.dst), 0);
  bytes.set(macOf(fields.src), 6);
  let offset = 12;
  for (const [i, tag] of vlans.entries()) {
    view.setUint16(offset, tag.tpid ?? (i < vlans.length - 1 ? ETHERTYPE.QINQ : ETHERTYPE.VLAN));
    const flags = ((tag.priority ?? 0) << 13) | (tag.dropEligible ? 0x1000 : 0);
    view.setUint16(offset + 2, flags | (tag.id & 0xfff));
    offset += 4;
  }
  view.setUint16(offset, fields.etherType);
  return bytes;
}
