// SPDX-License-Identifier: MIT
/* What a packet hook reads of DNS, and how it answers. */
import { DNS_TYPE, DnsView, formatIPv4, IP_PROTOCOL, parseAddress, u32At } from "../packet/index.js";
import { pushMade } from "./api-answers.js";
import { fail, type LuaState, lua, pushNumber, pushText, textArgument } from "./lua.js";
import { numberArgument } from "./numbers.js";
import type { Getter, PacketView } from "./packet-view.js";

const IN = 1;
const dns = new DnsView();

function pushNil(L: LuaState): number {
  lua.lua_pushnil(L);
  return 1;
}

/** Response, standard query, whole (not truncated), without an error. */
const ANSWERED = { mask: 0xfa0f, is: 0x8000 } as const;

function isDns(view: PacketView): boolean {
  const { transport } = view.frame;
  return transport === IP_PROTOCOL.UDP && dns.at(view.bytes, view.payloadAt, view.payloadEnd);
}

/**
 * A name as people write it: small letters, no dot at the end. What can't be printed, and a dot within a label, is `\DDD` (three
 * decimal digits); a backslash is two (RFC 1035 §5.1). So no two names give one text.
 */
function dnsText(bytes: Uint8Array, start: number, end: number): string {
  let text = "";
  for (let at = start; at < end - 1; ) {
    const length = bytes[at++] as number;
    if (text !== "") text += ".";
    for (const last = at + length; at < last; at++) {
      const byte = bytes[at] as number;
      const letter = byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
      if (letter === 0x5c) text += "\\\\";
      else if (letter > 0x20 && letter < 0x7f && letter !== 0x2e) text += String.fromCharCode(letter);
      else text += `\\${String(letter).padStart(3, "0")}`;
    }
  }
  return text;
}

export const DNS: Record<string, Getter> = {
  dns_question: (L, view) => {
    if (!isDns(view) || dns.isResponse) return pushNil(L);
    pushText(L, dnsText(view.bytes, dns.nameStart, dns.nameEnd));
    pushNumber(L, dns.type);
    return 2;
  },
  dns_record: (L, view) => {
    if (!isDns(view) || (dns.flags & ANSWERED.mask) !== ANSWERED.is) return pushNil(L);
    if (dns.type !== DNS_TYPE.A || dns.class !== IN) return pushNil(L);
    const at = dns.addressAt();
    if (at < 0) return pushNil(L);
    pushText(L, dnsText(view.bytes, dns.nameStart, dns.nameEnd));
    pushText(L, formatIPv4(u32At(view.bytes, at)));
    pushNumber(L, u32At(view.bytes, at - 6));
    return 3;
  },
  dns_answer: (L, view) => {
    const address = parseAddress(textArgument(L, 2));
    if (address.family !== 4) return fail(L, "an A record has an IPv4 address");
    const ttl = numberArgument(L, 3, "the TTL in seconds", 0, 3600);
    return pushMade(L, view.answer.dns(view.bytes, view.start, view.end, u32At(address.bytes, 0), ttl));
  },
};
