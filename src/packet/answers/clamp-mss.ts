// SPDX-License-Identifier: MIT
import { IP_PROTOCOL } from "../protocol.js";
import { TCP_FLAG } from "../tcp.js";
import { updateChecksum16 } from "../views/checksum.js";
import { CHECKSUM, FrameView } from "../views/frame.js";
import type { Span } from "../views/span.js";
import { TCP_OPTION } from "../views/tcp.js";

const frame = new FrameView();

/**
 * Lowers the maximum segment size that a SYN or SYN-ACK offers to at most `most` bytes, IPv4 and IPv6; the checksum
 * follows without a look at the payload, and one left to the device is completed. True when it was lowered.
 *
 * In a tunnel: the MTU of the way, less the headers around (IPv4 20, UDP 8, Ethernet 14) and within (IPv4 20 or IPv6 40,
 * TCP 20): 1418 for IPv4 in UDP over 1500.
 */
export function clampMss({ bytes, start, end }: Span, most: number): boolean {
  if (!frame.at(bytes, start, end) || frame.transport !== IP_PROTOCOL.TCP) return false;
  const { tcp } = frame;
  if ((tcp.flags & TCP_FLAG.SYN) === 0) return false;
  const old = tcp.mss;
  if (old <= most) return false;
  const partial = frame.checksumState() === CHECKSUM.PARTIAL;
  const offset = tcp.optionAt(TCP_OPTION.MSS) + 2 - tcp.start;
  tcp.setMss(most);
  if (partial) frame.fillChecksum();
  else tcp.checksum = updateChecksum16(tcp.checksum, old, most, offset);
  return true;
}
