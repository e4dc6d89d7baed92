// SPDX-License-Identifier: MIT
import { describe, expect, test } from "vitest";
import {
  ARP_OPERATION,
  buildArp,
  buildEthernet,
  buildIcmp,
  buildIcmpv6,
  buildIPv4Packet,
  buildIPv6Packet,
  buildTcp,
  buildUdp,
  ETHERTYPE,
  formatAddress,
  formatMac,
  fragmentHeader,
  ICMP_TYPE,
  internetChecksum,
  IP_PROTOCOL,
  optionsHeader,
  parseAddress,
  parseArp,
  parseEthernet,
  parseIcmp,
  parseIPv4Packet,
  parseIPv6Packet,
  parseTcp,
  parseUdp,
  TCP_FLAG,
  transportChecksum,
} from "../../src/packet/index.js";
import { FrameGenerator } from "../fixtures/frames.js";
import { parseFrame } from "../fixtures/guard-parse.js";
import { Random } from "../fixtures/random.js";

const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text.replace(/\s/g, ""), "hex"));
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
const v4 = { src: parseAddress("192.0.2.1").bytes, dst: parseAddress("198.51.100.2").bytes };
const v6 = { src: parseAddress("2001:db8::1").bytes, dst: parseAddress("2001:db8::2").bytes };
const macs = { dst: "02:00:00:00:00:01", src: "02:00:00:00:00:02" };
const hello = new TextEncoder().encode("hello");

describe("checksums", () => {
  test("of RFC 1071's example", () => {
    expect(internetChecksum(hex("0001 f203 f4f5 f6f7"))).toBe(0xffff - 0xddf2);
  });

  test("of nothing, of an odd length, and of much", () => {
    expect(internetChecksum(new Uint8Array(0))).toBe(0xffff);
    expect(internetChecksum(hex("010203"))).toBe(0xffff - 0x0402);
    expect(internetChecksum(new Uint8Array(200_000).fill(0xff))).toBe(0);
  });

  test("of a header out of the wild", () => {
    const header = hex("4500 0073 0000 4000 4011 b861 c0a8 0001 c0a8 00c7");
    expect(internetChecksum(header)).toBe(0);
  });
});

describe("Ethernet", () => {
  test("without tags", () => {
    const frame = buildEthernet({ ...macs, etherType: ETHERTYPE.IPV4 }, hello);
    expect(frame).toEqual(hex("020000000001 020000000002 0800 68656c6c6f"));
    const parsed = parseEthernet(frame);
    expect(parsed && formatMac(parsed.src)).toBe(macs.src);
    expect(parsed?.etherType).toBe(ETHERTYPE.IPV4);
    expect(parsed && text(parsed.payload)).toBe("hello");
  });

  test("with one tag and with two", () => {
    const one = buildEthernet({ ...macs, etherType: 0x0800, vlans: [{ id: 7, priority: 5 }] }, hello);
    expect(one.subarray(12, 18)).toEqual(hex("8100 a007 0800"));
    const two = buildEthernet({ ...macs, etherType: 0x86dd, vlans: [{ id: 100 }, { id: 4095 }] }, hello);
    expect(two.subarray(12, 22)).toEqual(hex("88a8 0064 8100 0fff 86dd"));
    expect(parseEthernet(two)?.vlans.map((tag) => tag.id)).toEqual([100, 4095]);
    for (let cut = 0; cut < 22; cut++) expect(parseEthernet(two.subarray(0, cut))).toBeUndefined();
  });

  test("a wrong MAC address is refused", () => {
    expect(() => buildEthernet({ ...macs, src: "eth0", etherType: 0x0800 }, hello)).toThrow("is not a MAC address");
  });
});

test("ARP", () => {
  const fields = { operation: ARP_OPERATION.REQUEST, senderMac: macs.src, sender: "192.0.2.1", target: "192.0.2.2" };
  const bytes = buildArp(fields);
  expect(bytes).toEqual(hex("0001 0800 06 04 0001 020000000002 c0000201 000000000000 c0000202"));
  const parsed = parseArp(bytes);
  expect(parsed && formatAddress(parsed.target)).toBe("192.0.2.2");
  expect(parseArp(bytes.subarray(0, 27))).toBeUndefined();
  expect(() => buildArp({ ...fields, sender: "::1" })).toThrow("`::1` is not an IPv4 address");
});

describe("IPv4", () => {
  test("a whole packet, with padding behind it", () => {
    const packet = buildIPv4Packet({ ...v4, protocol: 17, ttl: 3, id: 9, dontFragment: true }, hello);
    expect(packet.subarray(0, 20)).toEqual(hex("4500 0019 0009 4000 0311 8b94 c0000201 c6336402"));
    const padded = new Uint8Array(46);
    padded.set(packet);
    const parsed = parseIPv4Packet(padded);
    expect(parsed).toMatchObject({ ttl: 3, id: 9, protocol: 17, dontFragment: true, checksumValid: true });
    expect(parsed && text(parsed.payload)).toBe("hello");
  });

  test("options are padded, fragments keep their place", () => {
    const packet = buildIPv4Packet(
      { ...v4, protocol: 6, options: Uint8Array.of(1, 1, 1), moreFragments: true, fragmentOffset: 1480 },
      hello,
    );
    expect(parseIPv4Packet(packet)).toMatchObject({
      options: Uint8Array.of(1, 1, 1, 0),
      moreFragments: true,
      fragmentOffset: 1480,
      checksumValid: true,
    });
  });

  test("what does not fit is refused", () => {
    expect(() => buildIPv4Packet({ ...v4, protocol: 6, options: new Uint8Array(41) }, hello)).toThrow("40 fit");
    expect(() => buildIPv4Packet({ ...v4, protocol: 6 }, new Uint8Array(65516))).toThrow("65,535 fit");
    expect(() => buildIPv4Packet({ ...v6, protocol: 6 }, hello)).toThrow("is not an IPv4 address");
  });

  test("lies about lengths and version are seen", () => {
    const packet = buildIPv4Packet({ ...v4, protocol: 17 }, hello);
    const spoiled = (at: number, value: number): Uint8Array => {
      const copy = packet.slice();
      copy[at] = value;
      return copy;
    };
    for (const bytes of [spoiled(0, 0x65), spoiled(0, 0x44), spoiled(0, 0x4f), spoiled(3, 19), spoiled(3, 26)])
      expect(parseIPv4Packet(bytes)).toBeUndefined();
    expect(parseIPv4Packet(spoiled(10, 0))?.checksumValid).toBe(false);
  });
});

describe("IPv6", () => {
  test("a whole packet", () => {
    const packet = buildIPv6Packet({ ...v6, protocol: 17, trafficClass: 0xb8, flowLabel: 0xabcde, hopLimit: 2 }, hello);
    expect(packet.subarray(0, 8)).toEqual(hex("6b8abcde 0005 11 02"));
    const parsed = parseIPv6Packet(packet);
    expect(parsed).toMatchObject({ protocol: 17, trafficClass: 0xb8, flowLabel: 0xabcde, hopLimit: 2, extensions: [] });
    expect(parsed && text(parsed.payload)).toBe("hello");
  });

  test("a chain of extension headers, at every length", () => {
    const extensions = [
      optionsHeader(IP_PROTOCOL.HOP_BY_HOP),
      optionsHeader(IP_PROTOCOL.DESTINATION, 2048),
      { type: IP_PROTOCOL.AUTH, bytes: Uint8Array.of(0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1) },
      fragmentHeader(0, true, 42),
    ];
    const packet = buildIPv6Packet({ ...v6, protocol: IP_PROTOCOL.TCP, extensions }, hello);
    const parsed = parseIPv6Packet(packet);
    expect(parsed?.extensions.map((e) => [e.type, e.bytes.length])).toEqual([
      [0, 8],
      [60, 2048],
      [51, 12],
      [44, 8],
    ]);
    expect(parsed).toMatchObject({ protocol: 6, fragmentOffset: 0, moreFragments: true });
    for (let cut = 0; cut < packet.length; cut += 7) expect(parseIPv6Packet(packet.subarray(0, cut))).toBeUndefined();
  });

  test("behind a later fragment's header nothing is read", () => {
    const extensions = [fragmentHeader(1448, false, 42)];
    const parsed = parseIPv6Packet(buildIPv6Packet({ ...v6, protocol: IP_PROTOCOL.DESTINATION, extensions }, hello));
    expect(parsed).toMatchObject({ protocol: 60, fragmentOffset: 1448, moreFragments: false });
    expect(parsed && text(parsed.payload)).toBe("hello");
  });

  test.each([8, 16, 264, 272, 2048])("padding options of %d bytes add up", (length) => {
    const { bytes } = optionsHeader(IP_PROTOCOL.HOP_BY_HOP, length);
    expect((bytes[1] as number) * 8 + 8).toBe(length);
    let at = 2;
    while (at < length) at += bytes[at] === 0 ? 1 : (bytes[at + 1] as number) + 2;
    expect(at).toBe(length);
  });
});

describe("transport", () => {
  test("UDP, its checksum, and its length", () => {
    const bytes = buildUdp({ sport: 4000, dport: 53 }, v4, hello);
    expect(transportChecksum(v4.src, v4.dst, IP_PROTOCOL.UDP, bytes)).toBe(0);
    const parsed = parseUdp(bytes);
    expect(parsed).toMatchObject({ sport: 4000, dport: 53 });
    expect(parsed && text(parsed.payload)).toBe("hello");
    expect(parseUdp(buildUdp({ sport: 1, dport: 2 }))?.checksum).toBe(0);
    expect(parseUdp(buildUdp({ sport: 1, dport: 2 }, undefined, hello))?.payload).toEqual(hello);
    for (const length of [7, 14]) {
      const spoiled = bytes.slice();
      spoiled[5] = length;
      expect(parseUdp(spoiled)).toBeUndefined();
    }
    expect(() => buildUdp({ sport: 1, dport: 2 }, undefined, new Uint8Array(65528))).toThrow("65,527 fit");
  });

  test("TCP with options", () => {
    const fields = { sport: 1, dport: 65535, flags: TCP_FLAG.SYN | TCP_FLAG.ACK, sequence: 0xffffffff, window: 512 };
    const bytes = buildTcp({ ...fields, options: Uint8Array.of(2, 4, 5, 0xb4, 1) }, v6, hello);
    expect(transportChecksum(v6.src, v6.dst, IP_PROTOCOL.TCP, bytes)).toBe(0);
    const parsed = parseTcp(bytes);
    expect(parsed).toMatchObject(fields);
    expect(parsed?.options).toEqual(Uint8Array.of(2, 4, 5, 0xb4, 1, 0, 0, 0));
    expect(parsed && text(parsed.payload)).toBe("hello");
    const spoiled = bytes.slice();
    spoiled[12] = 0x40;
    expect(parseTcp(spoiled)).toBeUndefined();
    spoiled[12] = 0xf0;
    expect(parseTcp(spoiled)).toBeUndefined();
  });

  test("ICMP and ICMPv6 echoes", () => {
    const echo = { type: ICMP_TYPE.ECHO, id: 0x1234, sequence: 7 };
    const bytes = buildIcmp(echo, hello);
    expect(internetChecksum(bytes)).toBe(0);
    expect(parseIcmp(bytes)).toMatchObject({ ...echo, code: 0, rest: 0x12340007 });
    const six = buildIcmpv6({ type: 2, rest: 1280 }, v6, hello);
    expect(transportChecksum(v6.src, v6.dst, IP_PROTOCOL.ICMPV6, six)).toBe(0);
    expect(parseIcmp(six)).toMatchObject({ type: 2, rest: 1280 });
    expect(parseIcmp(six.subarray(0, 7))).toBeUndefined();
  });
});

test("no generated frame, however spoiled, makes a parser throw; and a good one is read as the guard reads it", () => {
  const frames = new FrameGenerator(new Random(11));
  let compared = 0;
  for (let i = 0; i < 20_000; i++) {
    const frame = frames.next();
    const ethernet = parseEthernet(frame);
    const four = ethernet && parseIPv4Packet(ethernet.payload);
    const six = ethernet && parseIPv6Packet(ethernet.payload);
    const transport = four?.payload ?? six?.payload ?? new Uint8Array(0);
    const parsed = { tcp: parseTcp(transport), udp: parseUdp(transport), icmp: parseIcmp(transport) };
    parseArp(ethernet?.payload ?? frame);

    const guard = parseFrame(frame);
    if (guard.malformed || !guard.ports || guard.fragment !== "none") continue;
    const segment = guard.proto === IP_PROTOCOL.TCP ? parsed.tcp : parsed.udp;
    const packet = guard.family === 4 ? four : six;
    expect([segment?.sport, segment?.dport]).toEqual([guard.sport, guard.dport]);
    expect(packet && formatAddress(packet.src)).toBe(formatAddress(guard.src));
    compared++;
  }
  expect(compared).toBeGreaterThan(3000);
});
