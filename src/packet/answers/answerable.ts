// SPDX-License-Identifier: MIT
import { ETHERTYPE, IP_PROTOCOL } from "../protocol.js";
import { CHECKSUM, type ChecksumState, type FrameView } from "../views/frame.js";
import { i32At, sameBytes } from "../views/wire.js";

/** Hosts alone: not 0/8, not the loopback, not multicast, reserved, or broadcast. Host order, signed or not. */
export function isHost4(address: number): boolean {
  const first = address >>> 24;
  return first !== 0 && first !== 127 && first < 224;
}

/** Not multicast, not `::`, not `::1`. */
export function isHost6(bytes: Uint8Array, at: number): boolean {
  if (bytes[at] === 0xff) return false;
  for (let i = 0; i < 15; i++) if (bytes[at + i] !== 0) return true;
  return (bytes[at + 15] as number) > 1;
}

function betweenHosts(frame: FrameView): boolean {
  const { ethernet } = frame;
  if (ethernet.toGroup || ethernet.fromGroup) return false;
  if (frame.network === ETHERTYPE.IPV4) {
    const { bytes, start } = frame.ipv4;
    const src = i32At(bytes, start + 12);
    const dst = i32At(bytes, start + 16);
    return src !== dst && isHost4(src) && isHost4(dst);
  }
  if (frame.network !== ETHERTYPE.IPV6) return false;
  const { bytes, srcAt, dstAt } = frame.ipv6;
  return isHost6(bytes, srcAt) && isHost6(bytes, dstAt) && !sameBytes(bytes, srcAt, bytes, dstAt, 16);
}

/**
 * What the transport's checksum is, of a frame that may be answered at all, as a host's stack would see it: a whole
 * packet from one host to another, with a right IP header. WRONG for all others. It sums the payload, so it comes last.
 */
export function answerable(frame: FrameView): ChecksumState {
  if (frame.transport === 0 || !betweenHosts(frame)) return CHECKSUM.WRONG;
  const v4 = frame.network === ETHERTYPE.IPV4;
  if (v4 ? !(frame.ipv4.checksumValid && frame.ipv4.optionsValid) : !frame.ipv6.extensionsValid) return CHECKSUM.WRONG;
  return frame.checksumState();
}

/** Whether a datagram can be answered from its own bytes: no extension headers, and a port to answer to. */
export function isPlainUdp(frame: FrameView): boolean {
  if (frame.transport !== IP_PROTOCOL.UDP || frame.udp.sport === 0) return false;
  return frame.network === ETHERTYPE.IPV4 || frame.ipv6.extensions === 0;
}

/** What a reply starts with. */
const TTL = 64;
const NOP = 1;

/**
 * Turns MACs and addresses of a packet around, for its way back: a fresh TTL, and IPv4 options overwritten by padding,
 * as they were meant for the way here. The IPv4 checksum is right if it was; the transport's too, as the same words are
 * summed.
 */
export function turnAround(frame: FrameView): void {
  frame.ethernet.swapMacs();
  if (frame.network === ETHERTYPE.IPV4) {
    const ip = frame.ipv4;
    ip.swapAddresses();
    if (ip.hasOptions) {
      ip.bytes.fill(NOP, ip.start + 20, ip.payloadStart);
      ip.ttl = TTL;
      ip.fillChecksum();
    } else {
      ip.replaceTtl(TTL);
    }
  } else {
    frame.ipv6.swapAddresses();
    frame.ipv6.hopLimit = TTL;
  }
}
