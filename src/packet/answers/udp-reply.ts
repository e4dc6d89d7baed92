// SPDX-License-Identifier: MIT
import { ETHERTYPE } from "../protocol.js";
import { CHECKSUM, FrameView } from "../views/frame.js";
import type { ResizableSpan } from "../views/span.js";
import { copyBytes, setU16 } from "../views/wire.js";
import { answerable, isPlainUdp, turnAround } from "./answerable.js";

const frame = new FrameView();

/**
 * Makes a datagram the reply to itself: MACs, addresses and ports change places, and its payload becomes `payload`,
 * which must not lie in the same frame. Lengths, checksums and the frame's end follow; a datagram without a checksum
 * gets a reply without one.
 *
 * False, and the frame as it was: no UDP, a fragment, extension headers, wrong checksums or lengths, to or from a group
 * (broadcast, multicast), or a reply that has no room.
 */
export function replyUdp(span: ResizableSpan, payload: Uint8Array): boolean {
  if (!frame.at(span.bytes, span.start, span.end) || !beginReply(frame, span, payload.length)) return false;
  copyBytes(span.bytes, frame.udp.payloadStart, payload, 0, payload.length);
  finishReply(frame);
  return true;
}

/**
 * Gives a datagram that may be answered a payload of `length` bytes, whose first bytes are those that were there, and
 * points the view anew; false, and nothing changed, for one that may not, or without room.
 */
export function beginReply(view: FrameView, span: ResizableSpan, length: number): boolean {
  if (!isPlainUdp(view)) return false;
  const state = answerable(view);
  const v4 = view.network === ETHERTYPE.IPV4;
  const headers = 8 + (v4 ? view.ipv4.headerLength : 0);
  if (state === CHECKSUM.WRONG || headers + length > 65535) return false;
  const frameAt = view.ethernet.start;
  const ipAt = view.ethernet.payloadStart - frameAt;
  const udpAt = view.udp.start - frameAt;
  if (!span.resize(udpAt + 8 + length)) return false;
  setU16(span.bytes, span.start + ipAt + (v4 ? 2 : 4), headers + length);
  setU16(span.bytes, span.start + udpAt + 4, 8 + length);
  return view.at(span.bytes, span.start, span.end);
}

/** Turns the datagram around and makes its checksums, of whatever payload there is. */
export function finishReply(view: FrameView): void {
  const { udp } = view;
  turnAround(view);
  if (view.network === ETHERTYPE.IPV4) view.ipv4.fillChecksum();
  udp.swapPorts();
  if (udp.checksum !== 0) view.fillChecksum();
}
