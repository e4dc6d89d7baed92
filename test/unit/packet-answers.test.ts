// SPDX-License-Identifier: MIT
import { describe, expect, test } from "vitest";
import {
  BufferSpan,
  buildUdp,
  parseAddress,
  clampMss,
  EchoHost,
  foldSum,
  formatAddress,
  formatMac,
  NO_ROOM,
  parseEthernet,
  parseIPv4Packet,
  parseIPv6Packet,
  parseTcp,
  parseUdp,
  pseudoSum,
  replyUdp,
  resetReceiver,
  resetSender,
  setU16,
  TCP_FLAG,
  TcpWordFilter,
  WordChange,
  WordSearch,
} from "../../src/packet/index.js";
import { Random } from "../fixtures/random.js";
import { expectRight, faultOf, GuardedSpan } from "../fixtures/spans.js";
import { ASKER, bytesOf, HOST, packetFrame, tcpFrame, udpFrame } from "../fixtures/talk.js";

const { SYN, ACK, RST, FIN, PSH } = TCP_FLAG;
const guarded = new GuardedSpan();
const other = new GuardedSpan(128);

function ip(frame: Uint8Array): { src: Uint8Array; dst: Uint8Array; payload: Uint8Array } {
  const { payload } = parseEthernet(frame)!;
  return (parseIPv4Packet(payload) ?? parseIPv6Packet(payload))!;
}
const tcpOf = (frame: Uint8Array) => parseTcp(ip(frame).payload)!;
const ends = (frame: Uint8Array): string[] => {
  const { dst, src } = parseEthernet(frame)!;
  const packet = ip(frame);
  return [formatMac(src), formatMac(dst), formatAddress(packet.src), formatAddress(packet.dst)];
};

test("a word is found where it begins first, like indexOf says", () => {
  const random = new Random(9);
  for (let i = 0; i < 5000; i++) {
    const text = Buffer.from(random.bytes(random.between(0, 60)).map((byte) => 97 + (byte & 1)));
    const word = Buffer.from(random.bytes(random.between(1, 6)).map((byte) => 97 + (byte & 1)));
    const start = random.between(0, text.length);
    const end = random.between(start, text.length);
    const found = text.subarray(0, end).indexOf(word, start);
    expect(new WordSearch(word).find(text, start, end)).toBe(found);
  }
  expect(() => new WordSearch("")).toThrow("the word to look for is empty");
});

describe("the word of a TCP filter", () => {
  const filter = new TcpWordFilter({ port: 80, word: "pineapple" });
  const matches = (frame: Uint8Array): boolean => filter.matches(guarded.load(frame));
  const flags = ACK | PSH;
  test.each([
    ["to the port", { sport: 4242, dport: 80 }, "a pineapple!", true],
    ["from the port", { sport: 80, dport: 4242 }, "pineapple", true],
    ["at another port", { sport: 4242, dport: 8080 }, "pineapple", false],
    ["almost", { sport: 4242, dport: 80 }, "pineappl", false],
    ["in other letters", { sport: 4242, dport: 80 }, "Pineapple", false],
  ])("%s", (_, ports, payload, expected) => {
    for (const family of [4, 6] as const)
      expect(matches(tcpFrame(family, { ...ports, flags }, payload))).toBe(expected);
  });

  test("is not looked for in UDP, nor behind the packet's end", () => {
    expect(matches(udpFrame(4, { sport: 1, dport: 80 }, "pineapple"))).toBe(false);
    const frame = tcpFrame(4, { sport: 1, dport: 80, flags }, "pine");
    expect(matches(Uint8Array.from([...frame, ...bytesOf("apple")]))).toBe(false);
  });

  test("needs a port", () => {
    expect(() => new TcpWordFilter({ port: 0, word: "x" })).toThrow("0 is not a port");
  });
});

describe.each([4, 6] as const)("resets over IPv%d", (family) => {
  const ports = { sport: 4242, dport: 80 };
  const size = 14 + (family === 4 ? 40 : 60);
  const [own, asker] = family === 4 ? [HOST.v4, ASKER.v4] : [HOST.v6, ASKER.v6];
  const segment = (flags: number, payload = "pineapple"): Uint8Array =>
    tcpFrame(family, { ...ports, flags, sequence: 0xfffffffc, acknowledgment: 0x80000001, window: 500 }, payload);

  test("go to both ends of a segment", () => {
    const frame = segment(ACK | PSH);
    const span = guarded.load(frame);
    expect(resetSender(span, other.span)).toBe(true);
    expect(span.copy()).toEqual(frame);
    const toSender = other.span.copy();
    // The other one takes the segment's place.
    expect(resetReceiver(span, span)).toBe(true);
    const toReceiver = span.copy();
    for (const reset of [toSender, toReceiver]) {
      expectRight(reset);
      expect(reset.length).toBe(size);
      expect(tcpOf(reset)).toMatchObject({ flags: RST | ACK, window: 0, options: new Uint8Array(0) });
    }
    expect(ends(toSender)).toEqual([HOST.mac, ASKER.mac, own, asker]);
    expect(tcpOf(toSender)).toMatchObject({ sport: 80, dport: 4242, sequence: 0x80000001, acknowledgment: 5 });
    expect(ends(toReceiver)).toEqual([ASKER.mac, HOST.mac, asker, own]);
    expect(tcpOf(toReceiver)).toMatchObject({ ...ports, sequence: 0xfffffffc, acknowledgment: 0x80000001 });
    expect(guarded.guardsIntact && other.guardsIntact).toBe(true);
  });

  test.each([
    [SYN, "", { flags: RST | ACK, sequence: 0, acknowledgment: 0xfffffffd }],
    [SYN | ACK, "", { flags: RST | ACK, sequence: 0x80000001, acknowledgment: 0xfffffffd }],
    [FIN | ACK, "abc", { flags: RST | ACK, sequence: 0x80000001, acknowledgment: 0 }],
  ])("acknowledge what flags 0x%s take", (flags, payload, expected) => {
    const span = guarded.load(segment(flags, payload));
    expect(resetSender(span, span)).toBe(true);
    expect(tcpOf(span.copy())).toMatchObject(expected);
  });

  test("keep VLAN tags", () => {
    const span = guarded.load(tcpFrame(family, { ...ports, flags: ACK }, "x", { vlans: [{ id: 3 }, { id: 4 }] }));
    expect(resetSender(span, span)).toBe(true);
    expect(parseEthernet(span.copy())?.vlans.map(({ id }) => id)).toEqual([3, 4]);
    expectRight(span.copy());
  });

  test("are not made of resets, of what is broken, of what is for all, nor without room", () => {
    const wrong = segment(ACK);
    wrong[wrong.length - 1]! ^= 1;
    const broadcast = segment(ACK);
    broadcast.fill(255, 0, 6);
    for (const frame of [
      segment(RST | ACK),
      wrong,
      broadcast,
      udpFrame(family, { sport: 1, dport: 80 }, "pineapple"),
    ]) {
      const span = guarded.load(frame);
      expect(resetSender(span, span) || resetReceiver(span, span)).toBe(false);
      expect(span.copy()).toEqual(frame);
    }
    const tight = new BufferSpan(new Uint8Array(size - 1));
    expect(resetSender(guarded.load(segment(ACK)), tight)).toBe(false);
  });
});

describe.each([4, 6] as const)("a word changed over IPv%d", (family) => {
  const ports = { sport: 4242, dport: 8080 };
  const changed = (from: string, to: string, frame: Uint8Array): [number, Uint8Array] => {
    const span = guarded.load(frame);
    const count = new WordChange({ from, to }).apply(span);
    expect(guarded.guardsIntact).toBe(true);
    return [count, span.copy()];
  };

  test.each([
    ["longer", "apple", "watermelon", "apple pie, apple", "watermelon pie, watermelon", 2],
    ["shorter", "watermelon", "fig", "a watermelon", "a fig", 1],
    ["of the same length", "apple", "peach", "apple pie", "peach pie", 1],
    ["by nothing", "a", "", "banana", "bnn", 3],
    ["side by side", "aa", "aab", "aaaaa", "aabaaba", 2],
    ["by what has it again", "a", "aa", "banana", "baanaanaa", 3],
  ])("%s", (_, from, to, payload, expected, count) => {
    for (const vlans of [[], [{ id: 7 }]]) {
      const [times, frame] = changed(from, to, udpFrame(family, ports, payload, { vlans }));
      expect(times).toBe(count);
      expectRight(frame);
      expect(Buffer.from(parseUdp(ip(frame).payload)!.payload).toString()).toBe(expected);
      expect(frame.length).toBe(14 + vlans.length * 4 + (family === 4 ? 20 : 40) + 8 + expected.length);
    }
  });

  test("not at all: the frame is as it was", () => {
    for (const frame of [udpFrame(family, ports, "pear"), tcpFrame(family, { ...ports, flags: ACK }, "apple")])
      expect(changed("apple", "fig", frame)).toEqual([0, frame]);
  });

  test("without room is said, and the frame is as it was", () => {
    const frame = udpFrame(family, ports, "apple");
    const tight = new GuardedSpan(frame.length + 4);
    const span = tight.load(frame, 2);
    expect(new WordChange({ from: "apple", to: "watermelon" }).apply(span)).toBe(NO_ROOM);
    expect(span.copy()).toEqual(frame);
    // With just enough, it moves into the headroom.
    expect(new WordChange({ from: "apple", to: "pineapple" }).apply(span)).toBe(1);
    expectRight(span.copy());
    const large = udpFrame(family, ports, new Uint8Array(60_000).fill(97));
    // "pineapple pie" and 28 bytes of headers are 41.
    const pie = udpFrame(4, { sport: 1, dport: 9 }, "apple pie");
    const wide = new GuardedSpan(200);
    const longer = new WordChange({ from: "apple", to: "pineapple" });
    expect(longer.apply(wide.load(pie, 40), 40)).toBe(NO_ROOM);
    expect(longer.apply(wide.load(pie, 40), 41)).toBe(1);
    // What does not grow passes, however small the MTU is.
    expect(new WordChange({ from: "apple", to: "a" }).apply(wide.load(pie, 40), 28)).toBe(1);
    expect(new WordChange({ from: "a", to: "aa" }).apply(new GuardedSpan(140_000).load(large))).toBe(NO_ROOM);
  });

  test("a wrong checksum stays wrong, one that was left to the device is made", () => {
    const frame = udpFrame(family, ports, "apple");
    const [addresses, udp] = family === 4 ? [26, 34] : [22, 54];
    const wrong = frame.slice();
    wrong[udp + 6]! ^= 0x10;
    expect(faultOf(changed("apple", "fig", wrong)[1])).toMatch("transport checksum");
    setU16(frame, udp + 6, foldSum(pseudoSum(frame, addresses, family === 4 ? 8 : 32, 17, 13)));
    expectRight(changed("apple", "watermelon", frame)[1]);
  });
});

test("a datagram without a checksum still has none after its word changed", () => {
  const span = guarded.load(packetFrame(4, 17, buildUdp({ sport: 1, dport: 2 }, undefined, bytesOf("apple"))));
  expect(new WordChange({ from: "apple", to: "watermelon" }).apply(span)).toBe(1);
  expect(parseUdp(ip(span.copy()).payload)).toMatchObject({ checksum: 0, payload: bytesOf("watermelon") });
});

describe.each([4, 6] as const)("the MSS over IPv%d", (family) => {
  const syn = (flags: number, options: number[]): Uint8Array =>
    tcpFrame(family, { sport: 1, dport: 2, flags, options: Uint8Array.from(options) });
  test.each([
    ["of a SYN", SYN, [2, 4, 5, 180, 4, 2], 1418],
    ["of a SYN-ACK, at an odd place", SYN | ACK, [1, 2, 4, 5, 180], 1418],
    ["that is small enough", SYN, [2, 4, 4, 0], 1024],
    ["of no SYN", ACK, [2, 4, 5, 180], 1460],
  ])("%s", (_, flags, options, expected) => {
    const frame = syn(flags, options);
    const span = guarded.load(frame);
    expect(clampMss(span, 1418)).toBe(expected === 1418);
    const clamped = span.copy();
    expectRight(clamped);
    const at = options.indexOf(4) + 1;
    expect(tcpOf(clamped).options.slice(at, at + 2)).toEqual(Uint8Array.of(expected >> 8, expected & 255));
    if (expected !== 1418) expect(clamped).toEqual(frame);
  });

  test("of a SYN whose checksum was left to the device", () => {
    const frame = syn(SYN, [2, 4, 5, 180]);
    const [addresses, tcp] = family === 4 ? [26, 34] : [22, 54];
    setU16(frame, tcp + 16, foldSum(pseudoSum(frame, addresses, family === 4 ? 8 : 32, 6, 24)));
    const span = guarded.load(frame);
    expect(clampMss(span, 1418)).toBe(true);
    expectRight(span.copy());
  });

  test("a SYN without one is left alone", () => {
    const span = guarded.load(syn(SYN, [4, 2]));
    expect(clampMss(span, 536)).toBe(false);
  });
});

describe.each([4, 6] as const)("a UDP reply over IPv%d", (family) => {
  test.each(["", "a", "an answer that is much longer"])("%j", (payload) => {
    const span = guarded.load(udpFrame(family, { sport: 4242, dport: 53 }, "question", { vlans: [{ id: 2 }] }));
    expect(replyUdp(span, bytesOf(payload))).toBe(true);
    const reply = span.copy();
    expectRight(reply);
    expect(ends(reply).slice(0, 2)).toEqual([HOST.mac, ASKER.mac]);
    expect(parseUdp(ip(reply).payload)).toMatchObject({ sport: 53, dport: 4242, payload: bytesOf(payload) });
    expect(reply.length).toBe(18 + (family === 4 ? 28 : 48) + payload.length);
  });

  test("is not made for all, of TCP, nor without room", () => {
    const everybody = udpFrame(family, { sport: 1, dport: 2 }, "x", { dst: "ff:ff:ff:ff:ff:ff" });
    expect(replyUdp(guarded.load(everybody), bytesOf("y"))).toBe(false);
    expect(replyUdp(guarded.load(tcpFrame(family, { sport: 1, dport: 2, flags: ACK })), bytesOf("y"))).toBe(false);
    const frame = udpFrame(family, { sport: 1, dport: 2 }, "x");
    const span = guarded.load(frame);
    expect(replyUdp(span, new Uint8Array(5000))).toBe(false);
    expect(span.copy()).toEqual(frame);
  });
});

test("a span outside of its buffer is refused", () => {
  expect(() => new BufferSpan(new Uint8Array(10), 5, 11)).toThrow("5 to 11 is no part of a buffer of 10 bytes");
});

test("no object is allocated per packet, and no number", async () => {
  // Numbers of 2^31 and more would be objects: addresses from 128.0.0.0 on.
  const high = { src: parseAddress("192.168.7.4").bytes, dst: parseAddress("192.168.7.5").bytes };
  const fromHigh = packetFrame(4, 17, buildUdp({ sport: 4242, dport: 7 }, high, new Uint8Array(200)), { ip: high });
  const host = new EchoHost({ mac: HOST.mac, addresses: [HOST.v4, HOST.v6, "192.168.7.5"] });
  const change = new WordChange({ from: "apple", to: "watermelon" });
  const span = new BufferSpan(new Uint8Array(2048));
  const payload = bytesOf("answer");
  const acts: [Uint8Array, () => boolean][] = [
    [udpFrame(4, { sport: 4242, dport: 7 }, new Uint8Array(200)), () => host.answer(span)],
    [udpFrame(6, { sport: 4242, dport: 7 }, new Uint8Array(200)), () => host.answer(span)],
    [fromHigh, () => host.answer(span)],
    [udpFrame(4, { sport: 4242, dport: 9 }, "apple pie"), () => change.apply(span) === 1],
    [udpFrame(4, { sport: 4242, dport: 9 }, "question"), () => replyUdp(span, payload)],
    [tcpFrame(4, { sport: 4242, dport: 80, flags: ACK, sequence: 0xf0000000 }, "x"), () => resetSender(span, span)],
  ];
  const PACKETS = 20_000;
  const run = (frame: Uint8Array, act: () => boolean): number => {
    const before = process.memoryUsage().heapUsed;
    for (let i = 0; i < PACKETS; i++) {
      for (let at = 0; at < frame.length; at++) span.bytes[at] = frame[at] as number;
      span.start = 0;
      span.end = frame.length;
      if (!act()) throw new Error("a packet was not taken");
    }
    return process.memoryUsage().heapUsed - before;
  };
  for (const [frame, act] of acts) {
    // The first rounds are interpreted, for longer on a busy machine, and a collection may fall into any.
    let quiet = false;
    for (let round = 0; round < 60 && !quiet; round++) {
      const bytes = run(frame, act);
      // A view would be over 100 bytes, a number that is an object 16.
      quiet = bytes >= 0 && bytes < 8 * PACKETS;
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(quiet).toBe(true);
  }
});
