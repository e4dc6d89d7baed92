// SPDX-License-Identifier: MIT
import { ARP_OPERATION } from "../arp.js";
import { ICMPV6_TYPE } from "../icmp.js";
import { CHECKSUM, type FrameView } from "../views/frame.js";
import { NDP_FLAG, NDP_OPTION, NdpView } from "../views/ndp.js";
import type { ResizableSpan } from "../views/span.js";
import { copyBytes, i32At, sameBytes, setU16 } from "../views/wire.js";
import { isHost4, isHost6 } from "./answerable.js";

/** A solicitation's hop limit: only neighbours can send it (RFC 4861 §7.1.1). */
const ON_LINK = 255;
/** An IPv6 header, then an advertisement with the option for a MAC. */
const ADVERTISEMENT = 32;

/**
 * An ARP request for `own` (host order, signed) becomes its reply in place; `frame.arp` is readable. The target of the reply is
 * the asker, its protocol address included. A probe (RFC 5227: the asker has no address yet) is answered, an
 * announcement of the address itself is not.
 */
export function answerArp(frame: FrameView, mac: Uint8Array, own: number): boolean {
  const { arp, ethernet } = frame;
  const sender = i32At(arp.bytes, arp.start + 14);
  const target = i32At(arp.bytes, arp.start + 24);
  if (arp.operation !== ARP_OPERATION.REQUEST || target !== own || sender === own) return false;
  if (sender !== 0 && !isHost4(sender)) return false;
  const { bytes } = arp;
  const asker = arp.senderMacAt;
  if (((bytes[asker] as number) & 1) !== 0 || ethernet.fromGroup) return false;
  arp.operation = ARP_OPERATION.REPLY;
  copyBytes(bytes, arp.targetMacAt, bytes, asker, 6);
  arp.target = sender;
  copyBytes(bytes, asker, mac, 0, 6);
  arp.sender = own;
  copyBytes(bytes, ethernet.dstAt, bytes, ethernet.srcAt, 6);
  copyBytes(bytes, ethernet.srcAt, mac, 0, 6);
  return true;
}

/** ff02::1:ffXX:XXXX of a unicast address (RFC 4291 §2.7.1). */
function isSolicitedNode(bytes: Uint8Array, at: number, own: Uint8Array): boolean {
  if (bytes[at] !== 0xff || bytes[at + 1] !== 2) return false;
  for (let i = 2; i < 11; i++) if (bytes[at + i] !== 0) return false;
  return bytes[at + 11] === 1 && bytes[at + 12] === 0xff && sameBytes(bytes, at + 13, own, 13, 3);
}

/** `::` asks whether an address is free (RFC 4862): to its solicited-node address, and without a MAC. */
function isUnspecified(bytes: Uint8Array, at: number): boolean {
  for (let i = 0; i < 16; i++) if (bytes[at + i] !== 0) return false;
  return true;
}

const ndp = new NdpView();

/** Whether the frame, with `frame.icmp` readable, is a right solicitation (RFC 4861 §7.1.1) of `own`. */
function solicits(frame: FrameView, own: Uint8Array): boolean {
  const { ethernet, ipv6 } = frame;
  const { bytes, srcAt, dstAt } = ipv6;
  if (ipv6.hopLimit !== ON_LINK || ipv6.extensions !== 0 || ethernet.fromGroup) return false;
  if (!ndp.at(bytes, frame.transportStart, frame.transportEnd)) return false;
  if (ndp.type !== ICMPV6_TYPE.NEIGHBOR_SOLICITATION || ndp.code !== 0) return false;
  if (!sameBytes(bytes, ndp.targetAt, own, 0, 16)) return false;
  const toGroup = isSolicitedNode(bytes, dstAt, own);
  if (!toGroup && !sameBytes(bytes, dstAt, own, 0, 16)) return false;
  const option = ndp.optionAt(NDP_OPTION.SOURCE_LINK_LAYER);
  const allowed = isUnspecified(bytes, srcAt)
    ? toGroup && option < 0
    : isHost6(bytes, srcAt) && !sameBytes(bytes, srcAt, own, 0, 16);
  return allowed && frame.checksumState() === CHECKSUM.VALID;
}

/**
 * A neighbour solicitation of `own` (16 bytes) becomes its advertisement: solicited and override, with our MAC. Who asks
 * without an address hears it by ff02::1, not as solicited. The frame becomes 32 bytes behind its IPv6 header, so it may
 * grow by 8; when that doesn't fit it is left as it is, and false.
 */
export function answerSolicitation(frame: FrameView, span: ResizableSpan, mac: Uint8Array, own: Uint8Array): boolean {
  if (!solicits(frame, own)) return false;
  const header = frame.transportStart - frame.ethernet.start;
  if (!span.resize(header + ADVERTISEMENT)) return false;
  const { bytes, start } = span;
  const ip = start + header - 40;
  const message = start + header;
  const unspecified = isUnspecified(bytes, ip + 8);
  if (unspecified) {
    bytes.fill(0, ip + 24, ip + 40);
    bytes[ip + 24] = 0xff;
    bytes[ip + 25] = 2;
    bytes[ip + 39] = 1;
    bytes.fill(0, start, start + 6);
    bytes[start] = 0x33;
    bytes[start + 1] = 0x33;
    bytes[start + 5] = 1;
  } else {
    copyBytes(bytes, ip + 24, bytes, ip + 8, 16);
    copyBytes(bytes, start, bytes, start + 6, 6);
  }
  copyBytes(bytes, start + 6, mac, 0, 6);
  copyBytes(bytes, ip + 8, own, 0, 16);
  setU16(bytes, ip + 4, ADVERTISEMENT);
  bytes[message] = ICMPV6_TYPE.NEIGHBOR_ADVERTISEMENT;
  setU16(bytes, message + 4, (NDP_FLAG.OVERRIDE | (unspecified ? 0 : NDP_FLAG.SOLICITED)) << 8);
  setU16(bytes, message + 6, 0);
  bytes[message + 24] = NDP_OPTION.TARGET_LINK_LAYER;
  bytes[message + 25] = 1;
  copyBytes(bytes, message + 26, mac, 0, 6);
  frame.at(bytes, start, span.end);
  frame.fillChecksum();
  return true;
}
