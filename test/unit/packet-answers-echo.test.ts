// SPDX-License-Identifier: MIT
import { describe, expect, test } from "vitest";
import {
  buildEthernet,
  buildIPv4Packet,
  buildUdp,
  ETHERTYPE,
  EchoHost,
  foldSum,
  formatAddress,
  formatMac,
  fragmentHeader,
  optionsHeader,
  parseAddress,
  parseArp,
  parseEthernet,
  parseIcmp,
  parseIPv4Packet,
  parseIPv6Packet,
  parseUdp,
  pseudoSum,
  setU16,
} from "../../src/packet/index.js";
import { expectRight, GuardedSpan } from "../fixtures/spans.js";
import {
  ASKER,
  arpFrame,
  bytesOf,
  HOST,
  NETWORK,
  packetFrame,
  pingFrame,
  solicitationFrame,
  udpFrame,
} from "../fixtures/talk.js";

const host = new EchoHost({ mac: HOST.mac, addresses: [HOST.v4, HOST.v6, "10.0.0.9"] });
const guarded = new GuardedSpan();

/** The answer to a frame; undefined without one, when the frame must be as it was. */
function answerTo(frame: Uint8Array): Uint8Array | undefined {
  const span = guarded.load(frame);
  const answered = host.answer(span);
  expect(guarded.guardsIntact).toBe(true);
  if (answered) return span.copy();
  expect(span.copy()).toEqual(frame);
  return undefined;
}

function answered(frame: Uint8Array): Uint8Array {
  const answer = answerTo(frame);
  if (answer === undefined) throw new Error("there was no answer");
  expectRight(answer);
  const ethernet = parseEthernet(answer);
  expect(ethernet && [formatMac(ethernet.dst), formatMac(ethernet.src)]).toEqual([ASKER.mac, HOST.mac]);
  return answer;
}

const ip4 = (frame: Uint8Array) => parseIPv4Packet(parseEthernet(frame)!.payload)!;
const ip6 = (frame: Uint8Array) => parseIPv6Packet(parseEthernet(frame)!.payload)!;

describe("ARP", () => {
  test.each(["ff:ff:ff:ff:ff:ff", HOST.mac])("is answered to the asker, asked by %s", (dst) => {
    const arp = parseArp(parseEthernet(answered(arpFrame({ dst })))!.payload)!;
    expect(arp.operation).toBe(2);
    expect([formatMac(arp.senderMac), formatAddress(arp.sender)]).toEqual([HOST.mac, HOST.v4]);
    expect([formatMac(arp.targetMac), formatAddress(arp.target)]).toEqual([ASKER.mac, ASKER.v4]);
  });

  test("of a second address, and of a probe", () => {
    expect(formatAddress(parseArp(answered(arpFrame({ target: "10.0.0.9" })).subarray(14))!.sender)).toBe("10.0.0.9");
    expect(formatAddress(parseArp(answered(arpFrame({ sender: "0.0.0.0" })).subarray(14))!.target)).toBe("0.0.0.0");
  });

  test.each([
    ["another's address", arpFrame({ target: "10.0.0.6" })],
    ["a reply", arpFrame({ operation: 2 })],
    ["an announcement of ours", arpFrame({ sender: HOST.v4 })],
    ["a broadcast sender", arpFrame({ sender: "255.255.255.255" })],
    ["another's MAC", arpFrame({ dst: "02:00:00:00:00:06" })],
    ["27 bytes", arpFrame().subarray(0, 41)],
  ])("not of %s", (_, frame) => expect(answerTo(frame)).toBeUndefined());
});

describe("a neighbour solicitation", () => {
  /** Flags, target and link-layer option. */
  const said = (frame: Uint8Array) => {
    const packet = ip6(frame);
    const { type, rest, payload } = parseIcmp(packet.payload)!;
    return {
      ...{
        type,
        flags: rest >>> 24,
        hopLimit: packet.hopLimit,
        from: formatAddress(packet.src),
        to: formatAddress(packet.dst),
      },
      ...{ target: formatAddress(payload.slice(0, 16)), option: Buffer.from(payload.slice(16)).toString("hex") },
    };
  };
  const advertisement = {
    ...{ type: 136, flags: 0x60, hopLimit: 255, from: HOST.v6, to: ASKER.v6, target: HOST.v6 },
    option: "0201020000000005",
  };

  test.each([
    ["by multicast", {}],
    ["by unicast", { dst: HOST.v6 }],
    ["without a link-layer option: the frame grows", { dst: HOST.v6, option: false }],
    ["with a nonce: the frame shrinks", { more: Uint8Array.of(14, 1, 1, 2, 3, 4, 5, 6) }],
  ])("%s is answered", (_, fields) => {
    const answer = answered(solicitationFrame(fields));
    expect(said(answer)).toEqual(advertisement);
    expect(answer.length).toBe(14 + 40 + 32);
  });

  test("of one without an address yet is answered to all", () => {
    const answer = answerTo(solicitationFrame({ src: "::", option: false }));
    expectRight(answer!);
    expect(formatMac(answer!.subarray(0, 6))).toBe("33:33:00:00:00:01");
    expect(said(answer!)).toEqual({ ...advertisement, to: "ff02::1", flags: 0x20 });
  });

  test("without room for the option is not answered", () => {
    const frame = solicitationFrame({ dst: HOST.v6, option: false });
    const tight = new GuardedSpan(frame.length);
    const span = tight.load(frame, 0);
    expect(host.answer(span)).toBe(false);
    expect(span.copy()).toEqual(frame);
  });

  test.each([
    ["another's target", { target: "2001:db8::3" }],
    ["a hop limit below 255", { hopLimit: 254 }],
    ["another group", { dst: "ff02::1:ff00:3" }],
    ["all nodes", { dst: "ff02::1" }],
    ["a group as sender", { src: "ff02::5" }],
    ["ourselves", { src: HOST.v6 }],
    ["a probe with a MAC", { src: "::" }],
    ["a probe by unicast", { src: "::", dst: HOST.v6, option: false }],
    ["an option without length", { more: Uint8Array.of(14, 0, 0, 0, 0, 0, 0, 0) }],
    ["an option that is too long", { more: Uint8Array.of(14, 2, 0, 0, 0, 0, 0, 0) }],
  ])("with %s is not", (_, fields) => expect(answerTo(solicitationFrame(fields))).toBeUndefined());
});

describe.each([4, 6] as const)("over IPv%d", (family) => {
  const ends = (frame: Uint8Array): string[] => {
    const { src, dst } = family === 4 ? ip4(frame) : ip6(frame);
    return [formatAddress(src), formatAddress(dst)];
  };
  const [own, other] = family === 4 ? [HOST.v4, ASKER.v4] : [HOST.v6, ASKER.v6];

  test("a ping is answered", () => {
    const answer = answered(pingFrame(family, "abcdefg"));
    expect(ends(answer)).toEqual([own, other]);
    const message = parseIcmp((family === 4 ? ip4(answer) : ip6(answer)).payload);
    expect(message).toMatchObject({ type: family === 4 ? 0 : 129, id: 0x1234, sequence: 7 });
    expect(message?.payload).toEqual(bytesOf("abcdefg"));
  });

  test.each([[], [{ id: 7 }], [{ id: 7 }, { id: 8 }]])("UDP to port 7 is echoed, tags %j", (...vlans) => {
    const answer = answered(udpFrame(family, { sport: 4242, dport: 7 }, "hello", { vlans }));
    expect(ends(answer)).toEqual([own, other]);
    const udp = parseUdp((family === 4 ? ip4(answer) : ip6(answer)).payload);
    expect(udp).toMatchObject({ sport: 7, dport: 4242, payload: bytesOf("hello") });
    expect(parseEthernet(answer)?.vlans.map(({ id }) => id)).toEqual(vlans.map(({ id }) => id));
  });

  test("a checksum that was left to the device is made", () => {
    const frame = udpFrame(family, { sport: 4242, dport: 7 }, "hello");
    const [addresses, udp] = family === 4 ? [26, 34] : [22, 54];
    setU16(frame, udp + 6, foldSum(pseudoSum(frame, addresses, family === 4 ? 8 : 32, 17, 13)));
    answered(frame);
  });

  const spoiled = (frame: Uint8Array, at: number): Uint8Array => {
    const copy = frame.slice();
    copy[at]! ^= 1;
    return copy;
  };
  const echo = udpFrame(family, { sport: 4242, dport: 7 }, "hello");
  test.each([
    ["another port", udpFrame(family, { sport: 4242, dport: 9 }, "hello")],
    ["port 7, which would answer again", udpFrame(family, { sport: 7, dport: 7 }, "hello")],
    ["no port", udpFrame(family, { sport: 0, dport: 7 }, "hello")],
    ["a wrong UDP checksum", spoiled(echo, echo.length - 1)],
    ["a wrong ICMP checksum", spoiled(pingFrame(family, "abc"), pingFrame(family, "abc").length - 1)],
    ["another's MAC", spoiled(echo, 5)],
    ["the broadcast MAC", udpFrame(family, { sport: 4242, dport: 7 }, "x", { dst: "ff:ff:ff:ff:ff:ff" })],
    ["a sender's MAC that is a group", udpFrame(family, { sport: 4242, dport: 7 }, "x", { src: "03:00:00:00:00:01" })],
    ["a frame that is cut", echo.subarray(0, echo.length - 1)],
  ])("%s is not answered", (_, frame) => expect(answerTo(frame)).toBeUndefined());
});

describe("IPv4", () => {
  const ports = { sport: 4242, dport: 7 };
  test("options are meant for the way here: padding on the way back", () => {
    const frame = pingFrame(4, "abc", { ip: { options: Uint8Array.of(7, 7, 4, 0, 0, 0, 0, 0) } });
    expect(ip4(answered(frame))).toMatchObject({ options: new Uint8Array(8).fill(1), ttl: 64 });
  });

  test("UDP without a checksum gets none", () => {
    expect(answered(packetFrame(4, 17, buildUdp(ports, undefined, bytesOf("x"))))[40]).toBe(0);
  });

  test("padding behind the packet stays", () => {
    const frame = new Uint8Array(60);
    frame.set(udpFrame(4, ports, "x"));
    expect(answered(frame).length).toBe(60);
  });

  const to = (dst: string, src = ASKER.v4): Uint8Array => {
    const addresses = { src: parseAddress(src).bytes, dst: parseAddress(dst).bytes };
    const packet = buildIPv4Packet({ ...addresses, protocol: 17 }, buildUdp(ports, addresses, bytesOf("x")));
    return buildEthernet({ dst: HOST.mac, src: ASKER.mac, etherType: ETHERTYPE.IPV4 }, packet);
  };
  test.each([
    ["to the broadcast address", to("255.255.255.255")],
    ["to the subnet's broadcast address", to("10.0.0.255")],
    ["to a group", to("224.0.0.1")],
    ["to another", to("10.0.0.6")],
    ["from the broadcast address", to(HOST.v4, "255.255.255.255")],
    ["from a group", to(HOST.v4, "224.0.0.1")],
    ["from nobody", to(HOST.v4, "0.0.0.0")],
    ["from ourselves", to(HOST.v4, HOST.v4)],
    ["from the loopback", to(HOST.v4, "127.0.0.1")],
    ["in a first fragment", pingFrame(4, "abcdefgh", { ip: { moreFragments: true } })],
    ["in a last fragment", pingFrame(4, "abcdefgh", { ip: { fragmentOffset: 8 } })],
  ])("%s is not answered", (_, frame) => expect(answerTo(frame)).toBeUndefined());

  test("with a wrong header checksum is not answered", () => {
    const frame = pingFrame(4, "abc");
    frame[24]! ^= 1;
    expect(answerTo(frame)).toBeUndefined();
  });
});

describe("IPv6", () => {
  const { src } = NETWORK[6];
  const dst = (text: string) => ({ ip: { src, dst: parseAddress(text).bytes } });
  test.each([
    ["to another", pingFrame(6, "abc", dst("2001:db8::3"))],
    ["to a group", pingFrame(6, "abc", dst("ff02::1"))],
    ["in a fragment", pingFrame(6, "abc", { ip: { extensions: [fragmentHeader(0, false, 1)] } })],
    ["with extension headers", pingFrame(6, "abc", { ip: { extensions: [optionsHeader(60)] } })],
    ["UDP without a checksum", packetFrame(6, 17, buildUdp({ sport: 4242, dport: 7 }, undefined, bytesOf("x")))],
  ])("%s is not answered", (_, frame) => expect(answerTo(frame)).toBeUndefined());
});

test("what is no address or MAC is refused", () => {
  expect(() => new EchoHost({ mac: "eth0", addresses: [] })).toThrow("is not a MAC address");
  expect(() => new EchoHost({ mac: HOST.mac, addresses: ["10.0.0.256"] })).toThrow("is not an IP address");
});
