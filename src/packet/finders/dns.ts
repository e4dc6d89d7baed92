// SPDX-License-Identifier: MIT
import { XdpctlError } from "../../errors/index.js";
import { beginReply, finishReply } from "../answers/udp-reply.js";
import { IP_PROTOCOL } from "../protocol.js";
import { FrameView } from "../views/frame.js";
import type { ResizableSpan } from "../views/span.js";
import { holds, View } from "../views/view.js";
import { setU16, setU32, u16At, u32At } from "../views/wire.js";
import { sameLetters } from "./found.js";

export const DNS_TYPE = { A: 1, NS: 2, CNAME: 5, AAAA: 28 } as const;
const IN = 1;
const RESPONSE = 0x8000;
/** Response, recursion desired and available, authentic data left as resolvers set it: what the answer has. */
const ANSWER_FLAGS = 0x81a0;
/** The name of the question, which begins behind the header. */
const QUESTION_NAME = 0xc00c;
/** Answers that are looked at. */
const MAX_ANSWERS = 32;

/** Where the name that begins at `at` ends, its root or pointer included; -1 when it is cut short or no name. */
function nameEnd(bytes: Uint8Array, at: number, end: number, pointers: boolean): number {
  for (let i = at; i < end && i - at < 255; ) {
    const length = bytes[i] as number;
    if (length === 0) return i + 1;
    if (length >= 0xc0) return pointers && i + 2 <= end ? i + 2 : -1;
    if (length > 63) return -1;
    i += 1 + length;
  }
  return -1;
}

/** The name as it is in a packet. Throws XDPCTL_E_USAGE for one with labels of no or over 63 bytes, or over 255 in all. */
export function dnsName(text: string): Uint8Array {
  const labels = text === "." || text === "" ? [] : text.replace(/\.$/, "").split(".");
  const encoder = new TextEncoder();
  const bytes: number[] = [];
  for (const label of labels) {
    const encoded = encoder.encode(label);
    if (encoded.length === 0 || encoded.length > 63)
      throw new XdpctlError("XDPCTL_E_USAGE", `\`${text}\` is not a DNS name: labels have 1 to 63 bytes`);
    bytes.push(encoded.length, ...encoded);
  }
  if (bytes.length > 254) throw new XdpctlError("XDPCTL_E_USAGE", `a DNS name of ${bytes.length + 1} bytes: 255 fit`);
  return Uint8Array.from([...bytes, 0]);
}

/** A DNS message (RFC 1035) in a UDP payload, with exactly one question, as all that are in use. */
export class DnsView extends View {
  /** The question's name as it is on the wire: labels with their lengths, and the root. */
  nameStart = 0;
  nameEnd = 0;

  at(bytes: Uint8Array, start: number, end: number): boolean {
    if (!holds(bytes, start, end, 17) || u16At(bytes, start + 4) !== 1) return false;
    const name = nameEnd(bytes, start + 12, end, false);
    if (name < 0 || name + 4 > end) return false;
    this.bytes = bytes;
    this.start = start;
    this.end = end;
    this.nameStart = start + 12;
    this.nameEnd = name;
    this.payloadStart = name + 4;
    this.payloadEnd = end;
    return true;
  }

  get id(): number {
    return u16At(this.bytes, this.start);
  }

  get flags(): number {
    return u16At(this.bytes, this.start + 2);
  }

  get isResponse(): boolean {
    return (this.flags & RESPONSE) !== 0;
  }

  /** Of the question: DNS_TYPE. */
  get type(): number {
    return u16At(this.bytes, this.nameEnd);
  }

  /** 1 is IN. */
  get class(): number {
    return u16At(this.bytes, this.nameEnd + 2);
  }

  get answers(): number {
    return u16At(this.bytes, this.start + 6);
  }

  /** Whether the question asks for a name, as `dnsName` gives it; capital letters don't matter. */
  nameIs(name: Uint8Array): boolean {
    return this.nameEnd - this.nameStart === name.length && sameLetters(this.bytes, this.nameStart, name);
  }

  /** Where the 4 bytes of the first A record among the answers are; -1 when there is none. Its TTL is 6 bytes before. */
  addressAt(): number {
    const { bytes, end } = this;
    let at = this.payloadStart;
    for (let left = Math.min(this.answers, MAX_ANSWERS); left > 0; left--) {
      const fields = nameEnd(bytes, at, end, true);
      if (fields < 0 || fields + 10 > end) return -1;
      const length = u16At(bytes, fields + 8);
      const data = fields + 10;
      if (data + length > end) return -1;
      if (u16At(bytes, fields) === DNS_TYPE.A && u16At(bytes, fields + 2) === IN && length === 4) return data;
      at = data + length;
    }
    return -1;
  }

  /** The first A record as a number in host order; 0 when there is none. */
  get address(): number {
    const at = this.addressAt();
    return at < 0 ? 0 : u32At(this.bytes, at);
  }
}

const frame = new FrameView();
const dns = new DnsView();

/**
 * Makes a question for an A record the answer to it: the address (host order) with a TTL in seconds. What came behind
 * the question (EDNS) is left out. False, and the frame as it was: no such question, one that `replyUdp` would not
 * answer, or no room.
 */
export function replyDns(span: ResizableSpan, address: number, ttl = 3600): boolean {
  if (!frame.at(span.bytes, span.start, span.end) || frame.transport !== IP_PROTOCOL.UDP) return false;
  if (!dns.at(span.bytes, frame.udp.payloadStart, frame.udp.payloadEnd)) return false;
  // A standard query (opcode 0).
  if ((dns.flags & 0xf800) !== 0 || dns.type !== DNS_TYPE.A || dns.class !== IN) return false;
  const question = dns.payloadStart - dns.start;
  if (!beginReply(frame, span, question + 16)) return false;
  const { bytes } = span;
  const start = frame.udp.payloadStart;
  setU16(bytes, start + 2, ANSWER_FLAGS);
  setU16(bytes, start + 6, 1);
  setU32(bytes, start + 8, 0);
  const record = start + question;
  setU16(bytes, record, QUESTION_NAME);
  setU16(bytes, record + 2, DNS_TYPE.A);
  setU16(bytes, record + 4, IN);
  setU32(bytes, record + 6, ttl);
  setU16(bytes, record + 10, 4);
  setU32(bytes, record + 12, address);
  finishReply(frame);
  return true;
}
