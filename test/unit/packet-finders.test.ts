// SPDX-License-Identifier: MIT
import { describe, expect, test } from "vitest";
import {
  DNS_TYPE,
  DnsView,
  dnsName,
  Found,
  findCookie,
  findHttpHeader,
  findServerName,
  parseEthernet,
  parseIPv4Packet,
  parseIPv6Packet,
  parseUdp,
  replyDns,
} from "../../src/packet/index.js";
import {
  CLIENT_HELLO,
  CLIENT_HELLO_NO_NAME,
  DNS_QUERY_AAAA,
  DNS_QUERY_EDNS,
  HTTP_REQUEST,
} from "../fixtures/payloads.js";
import { expectRight, GuardedSpan } from "../fixtures/spans.js";
import { bytesOf, udpFrame } from "../fixtures/talk.js";

const found = new Found();
const textAt = (bytes: Uint8Array, is: boolean): string | undefined =>
  is ? Buffer.from(bytes.subarray(found.start, found.end)).toString() : undefined;
const http = (text: string): Uint8Array => bytesOf(text.replaceAll("|", "\r\n"));
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

describe("the server name of a TLS hello", () => {
  const nameOf = (bytes: Uint8Array, end = bytes.length): string | undefined =>
    textAt(bytes, findServerName(bytes, 0, end, found));

  test("of openssl s_client", () => {
    expect(nameOf(CLIENT_HELLO)).toBe("test.example");
    expect(nameOf(CLIENT_HELLO_NO_NAME)).toBeUndefined();
  });

  test("is found as soon as it is whole, and not before", () => {
    const whole = Buffer.from(CLIENT_HELLO).indexOf("test.example") + 12;
    for (let end = 0; end <= CLIENT_HELLO.length; end++)
      expect(nameOf(CLIENT_HELLO, end)).toBe(end < whole ? undefined : "test.example");
  });

  test.each([
    ["is no handshake", 0, 23],
    ["is no hello of a client", 5, 2],
    ["is not TLS", 1, 2],
    ["has a session id beyond the end", 43, 255],
  ])("what %s has none", (_, at, value) => {
    const bytes = CLIENT_HELLO.slice();
    bytes[at] = value;
    expect(nameOf(bytes)).toBeUndefined();
  });
});

describe("a header of HTTP", () => {
  const header = (bytes: Uint8Array, name: string): string | undefined =>
    textAt(bytes, findHttpHeader(bytes, 0, bytes.length, bytesOf(name), found));

  test("of curl", () => {
    expect(header(HTTP_REQUEST, "User-Agent")).toMatch(/^curl\/[0-9.]+$/);
    expect(header(HTTP_REQUEST, "host")).toBe("test.example");
    expect(header(HTTP_REQUEST, "Referer")).toBeUndefined();
  });

  test.each([
    ["GET / HTTP/1.1|A: one|A: two||", "a", "one"],
    ["GET / HTTP/1.0\nA:  one \t\n\n", "A", "one"],
    ["HTTP/1.1 200 OK|Server:\tx||", "server", "x"],
    ["GET / HTTP/1.1|A:||", "A", ""],
    ["GET / HTTP/1.1|AB: one||", "A", undefined],
    ["GET / HTTP/1.1|B: A: one||", "A", undefined],
    ["GET / HTTP/1.1||A: one|", "A", undefined],
    ["GET / HTTP/1.1|A: on", "A", undefined],
    ["GET /|A: one||", "A", undefined],
    ["A: one|A: two||", "A", undefined],
    ["", "A", undefined],
  ])("%j has for %s: %s", (text, name, value) => expect(header(http(text), name)).toBe(value));
});

describe("a cookie", () => {
  const cookie = (bytes: Uint8Array, name: string): string | undefined =>
    textAt(bytes, findCookie(bytes, 0, bytes.length, bytesOf(name), found));

  test("of curl", () => {
    expect(cookie(HTTP_REQUEST, "_xdpcookie")).toBe("let me in");
    expect(cookie(HTTP_REQUEST, "a")).toBe("1");
    expect(cookie(HTTP_REQUEST, "b")).toBe("2");
    expect(cookie(HTTP_REQUEST, "xdpcookie")).toBeUndefined();
    expect(cookie(HTTP_REQUEST, "_XDPCOOKIE")).toBeUndefined();
  });

  test("without a value, or none at all", () => {
    expect(cookie(http("GET / HTTP/1.1|Cookie: a=;b;;c=d=e||"), "a")).toBe("");
    expect(cookie(http("GET / HTTP/1.1|Cookie: a=;b;;c=d=e||"), "b")).toBeUndefined();
    expect(cookie(http("GET / HTTP/1.1|Cookie: a=;b;;c=d=e||"), "c")).toBe("d=e");
    expect(cookie(http("GET / HTTP/1.1|Cookie:||"), "a")).toBeUndefined();
  });
});

describe("DNS", () => {
  const dns = new DnsView();

  test("a question of dig", () => {
    expect(dns.at(DNS_QUERY_EDNS, 0, DNS_QUERY_EDNS.length)).toBe(true);
    expect([dns.type, dns.class, dns.isResponse, dns.address]).toEqual([DNS_TYPE.A, 1, false, 0]);
    expect(dns.nameIs(dnsName("www.example.com"))).toBe(true);
    expect(dns.nameIs(dnsName("www.example.org"))).toBe(false);
    expect(dns.at(DNS_QUERY_AAAA, 0, DNS_QUERY_AAAA.length) && dns.type).toBe(DNS_TYPE.AAAA);
    for (let end = 0; end < 12 + 17 + 4; end++) expect(dns.at(DNS_QUERY_EDNS, 0, end)).toBe(false);
  });

  test("names on the wire", () => {
    expect(hex(dnsName("a.bc."))).toBe("0161026263" + "00");
    expect(hex(dnsName("."))).toBe("00");
    for (const wrong of ["a..b", `${"x".repeat(64)}.com`, Array(64).fill("abc").join(".")])
      expect(() => dnsName(wrong)).toThrow("DNS name");
  });

  const guarded = new GuardedSpan();
  test.each([4, 6] as const)("a question over IPv%d is answered with an A record", (family) => {
    const span = guarded.load(udpFrame(family, { sport: 4242, dport: 53 }, DNS_QUERY_EDNS));
    expect(replyDns(span, 0xc0000201)).toBe(true);
    expectRight(span.copy());
    const { payload } = parseEthernet(span.copy())!;
    const ip = (parseIPv4Packet(payload) ?? parseIPv6Packet(payload))!;
    const answer = parseUdp(ip.payload)!.payload;
    const id = hex(DNS_QUERY_EDNS.subarray(0, 2));
    const question = hex(DNS_QUERY_EDNS.subarray(12, 33));
    expect(hex(answer)).toBe(`${id}81a00001000100000000${question}c00c0001000100000e100004c0000201`);
    expect(dns.at(answer, 0, answer.length) && dns.address).toBe(0xc0000201);
  });

  test("what is no question for an address is not answered", () => {
    const ports = { sport: 4242, dport: 53 };
    const response = DNS_QUERY_EDNS.slice();
    response[2]! |= 0x80;
    const broadcast = udpFrame(4, ports, DNS_QUERY_EDNS, { dst: "ff:ff:ff:ff:ff:ff" });
    const frames = [DNS_QUERY_AAAA, response, DNS_QUERY_EDNS.subarray(0, 30)].map((query) => udpFrame(4, ports, query));
    for (const frame of [...frames, broadcast]) {
      const span = guarded.load(frame);
      expect(replyDns(span, 1)).toBe(false);
      expect(span.copy()).toEqual(frame);
    }
  });
});
