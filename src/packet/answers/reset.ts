// SPDX-License-Identifier: MIT
import { ETHERTYPE, IP_PROTOCOL } from "../protocol.js";
import { TCP_FLAG } from "../tcp.js";
import { CHECKSUM, FrameView } from "../views/frame.js";
import type { ResizableSpan, Span } from "../views/span.js";
import { copyBytes, i32At, setU16, setU32, swapBytes } from "../views/wire.js";
import { answerable } from "./answerable.js";

const frame = new FrameView();
const made = new FrameView();
/** The frame is made here, so that it may go where the segment lies. Ethernet with two tags, IPv6, TCP. */
const scratch = new Uint8Array(22 + 40 + 20);

/** Writes an IP header without options for 20 bytes of TCP; returns its length. The IPv4 checksum is made later. */
function writeIp(at: number, back: boolean): number {
  if (frame.network === ETHERTYPE.IPV4) {
    setU32(scratch, at, 0x45000028);
    setU32(scratch, at + 4, 0x00004000);
    setU32(scratch, at + 8, 0x40060000);
    copyBytes(scratch, at + 12, frame.ipv4.bytes, frame.ipv4.start + 12, 8);
    if (back) swapBytes(scratch, at + 12, at + 16, 4);
    return 20;
  }
  setU32(scratch, at, 0x60000000);
  setU32(scratch, at + 4, 0x00140640);
  copyBytes(scratch, at + 8, frame.ipv6.bytes, frame.ipv6.start + 8, 32);
  if (back) swapBytes(scratch, at + 8, at + 24, 16);
  return 40;
}

function writeTcp(at: number, back: boolean): void {
  const { tcp } = frame;
  const acknowledges = (tcp.flags & TCP_FLAG.ACK) !== 0;
  setU16(scratch, at, back ? tcp.dport : tcp.sport);
  setU16(scratch, at + 2, back ? tcp.sport : tcp.dport);
  // What the other end expects next: otherwise it is no reset for it (RFC 5961).
  const acknowledged = acknowledges ? i32At(tcp.bytes, tcp.start + 8) : 0;
  const sequence = i32At(tcp.bytes, tcp.start + 4);
  setU32(scratch, at + 4, back ? acknowledged : sequence);
  setU32(scratch, at + 8, back ? (sequence + tcp.sequenceLength) | 0 : acknowledged);
  scratch[at + 12] = 5 << 4;
  scratch[at + 13] = back || acknowledges ? TCP_FLAG.RST | TCP_FLAG.ACK : TCP_FLAG.RST;
  setU32(scratch, at + 14, 0);
  setU16(scratch, at + 18, 0);
}

function write(segment: Span, out: ResizableSpan, back: boolean): boolean {
  if (!frame.at(segment.bytes, segment.start, segment.end) || frame.transport !== IP_PROTOCOL.TCP) return false;
  if ((frame.tcp.flags & TCP_FLAG.RST) !== 0 || answerable(frame) === CHECKSUM.WRONG) return false;
  const { ethernet } = frame;
  const header = ethernet.payloadStart - ethernet.start;
  copyBytes(scratch, 0, ethernet.bytes, ethernet.start, header);
  if (back) swapBytes(scratch, 0, 6, 6);
  const tcpAt = header + writeIp(header, back);
  writeTcp(tcpAt, back);
  if (!out.resize(tcpAt + 20)) return false;
  copyBytes(out.bytes, out.start, scratch, 0, tcpAt + 20);
  made.at(out.bytes, out.start, out.end);
  if (made.network === ETHERTYPE.IPV4) made.ipv4.fillChecksum();
  made.fillChecksum();
  return true;
}

/**
 * Writes into `out` the RST that answers a TCP segment, to its sender: 40 bytes of IPv4 or 60 of IPv6 behind the
 * Ethernet header (VLAN tags stay), RST and ACK, window 0, sequence = what the segment acknowledged, acknowledgment =
 * the segment's sequence and all that it took (RFC 9293 §3.5.2). `out` may be the segment itself.
 *
 * False, and nothing written: no whole TCP segment between two hosts with right checksums, itself a RST, or no room.
 */
export function resetSender(segment: Span, out: ResizableSpan): boolean {
  return write(segment, out, true);
}

/**
 * The RST for the receiver, as if the segment's sender had given up in place of sending it: the segment's own sequence.
 * `out` may be the segment itself, so write the one for the sender first, into another frame.
 */
export function resetReceiver(segment: Span, out: ResizableSpan): boolean {
  return write(segment, out, false);
}
