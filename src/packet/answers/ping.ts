// SPDX-License-Identifier: MIT
import { IP_PROTOCOL } from "../protocol.js";
import { PERF, PERF_BYTES, RUN_BYTES, RUN_MARK } from "../udp-template.js";
import { CHECKSUM, FrameView } from "../views/frame.js";
import type { Span } from "../views/span.js";
import { u32At } from "../views/wire.js";
import { answerable, isPlainUdp, turnAround } from "./answerable.js";

const frame = new FrameView();

/**
 * Turns a Ping of `UdpTemplate` to `port` into its Pong, a SYN into its ACK, in place, and says which: send it.
 * Undefined, and the frame as it was: all else, and what a host would not answer (groups, fragments, wrong checksums and
 * lengths).
 */
export function answerPing(span: Span, port: number): "pong" | "ack" | undefined {
  if (!frame.at(span.bytes, span.start, span.end) || !isPlainUdp(frame)) return undefined;
  const { udp } = frame;
  const { bytes, payloadStart } = udp;
  if (udp.dport !== port || udp.payloadEnd - payloadStart < PERF_BYTES) return undefined;
  const operation = bytes[payloadStart + 4];
  const isPing = operation === PERF.PING;
  if ((!isPing && operation !== PERF.SYN) || answerable(frame) === CHECKSUM.WRONG) return undefined;
  bytes[payloadStart + 4] = isPing ? PERF.PONG : PERF.ACK;
  turnAround(frame);
  udp.swapPorts();
  if (udp.checksum !== 0) frame.fillChecksum();
  return isPing ? "pong" : "ack";
}

/** What a frame of `UdpTemplate` says of itself. One object, written anew by each `readPerf`. */
export interface PerfHeader {
  number: number;
  operation: number;
}

/** Reads number and operation of a datagram to `port`; false for all else. Checksums are not looked at. */
export function readPerf(span: Span, port: number, into: PerfHeader): boolean {
  if (!frame.at(span.bytes, span.start, span.end) || frame.transport !== IP_PROTOCOL.UDP) return false;
  const { udp } = frame;
  if (udp.dport !== port || udp.payloadEnd - udp.payloadStart < PERF_BYTES) return false;
  into.number = u32At(udp.bytes, udp.payloadStart);
  into.operation = udp.bytes[udp.payloadStart + 4] as number;
  return true;
}

export interface RunHeader extends PerfHeader {
  /** That of the run which the frame is of. */
  token: number;
}

/** The same of a datagram whose run has a token; false for those without. */
export function readRun(span: Span, port: number, into: RunHeader): boolean {
  if (!readPerf(span, port, into)) return false;
  const { bytes, payloadStart, payloadEnd } = frame.udp;
  if (payloadEnd - payloadStart < RUN_BYTES || u32At(bytes, payloadStart + PERF_BYTES) !== RUN_MARK) return false;
  into.token = u32At(bytes, payloadStart + PERF_BYTES + 4);
  return true;
}
