// SPDX-License-Identifier: MIT
import { describe, expect, test } from "vitest";
import {
  buildEthernet,
  buildIPv4Packet,
  buildTcp,
  CHECKSUM,
  checksumOf,
  completeChecksum,
  ETHERTYPE,
  FrameView,
  foldSum,
  IPv4View,
  internetChecksum,
  parseAddress,
  pseudoSum,
  setU16,
  setU32,
  sumBytes,
  transportChecksum,
  u16At,
  u32At,
  udpChecksum,
  updateChecksum16,
  updateChecksum32,
} from "../../src/packet/index.js";
import { Random } from "../fixtures/random.js";

const random = new Random(1624);

test("a sum in place is that of a copy, of any length and at any place", () => {
  for (let i = 0; i < 3000; i++) {
    const bytes = random.bytes(random.between(0, 120));
    const start = random.between(0, bytes.length);
    const end = random.between(start, bytes.length);
    expect(checksumOf(bytes, start, end)).toBe(internetChecksum(bytes.slice(start, end)));
  }
  // Long ones are summed by words of 32 bits: at all four alignments of a buffer, also where the view begins within it.
  const pool = random.bytes(2000);
  for (let i = 0; i < 2000; i++) {
    const bytes = pool.subarray(random.between(0, 9));
    const start = random.between(0, 300);
    const end = random.between(start + 90, bytes.length);
    expect(checksumOf(bytes, start, end)).toBe(internetChecksum(bytes.slice(start, end)));
  }
  const largest = new Uint8Array(65_535).fill(0xff);
  expect(checksumOf(largest, 0, largest.length)).toBe(internetChecksum(largest));
});

test.each([4, 16] as const)("the pseudo-header of addresses of %d bytes", (bytes) => {
  for (let i = 0; i < 500; i++) {
    const packet = random.bytes(2 * bytes + random.between(0, 60));
    const segment = packet.slice(2 * bytes);
    const sum = pseudoSum(packet, 0, bytes === 4 ? 8 : 32, 17, segment.length);
    const checksum = ~foldSum(sumBytes(packet, 2 * bytes, packet.length, sum)) & 0xffff;
    expect(checksum).toBe(transportChecksum(packet.slice(0, bytes), packet.slice(bytes, 2 * bytes), 17, segment));
  }
});

describe("a change is the same as summing anew", () => {
  test("of RFC 1624's example, which RFC 1141's equation gets wrong", () => {
    expect(updateChecksum16(0xdd2f, 0x5555, 0x3285)).toBe(0x0000);
  });

  test.each([16, 32])("of %d bits at even and odd places", (bits) => {
    for (let i = 0; i < 20_000; i++) {
      // Many bytes of 0 and 255: where the two zeros of one's complement are.
      const bytes = random.bytes(random.between(5, 40)).map((byte) => (byte < 100 ? 0 : byte < 200 ? 255 : byte));
      bytes[0] = 0x45; // never zeros alone, as no header is
      const at = random.between(1, bytes.length - bits / 8);
      const before = internetChecksum(bytes);
      const value = random.pick([0, 0xffffffff, random.u32()]) >>> (32 - bits);
      const old = bits === 16 ? u16At(bytes, at) : u32At(bytes, at);
      const update = bits === 16 ? updateChecksum16 : updateChecksum32;
      const updated = update(before, old, value, at);
      (bits === 16 ? setU16 : setU32)(bytes, at, value);
      expect(updated).toBe(internetChecksum(bytes));
    }
  });

  test("of an IPv4 header's TTL and length, and a wrong checksum stays wrong", () => {
    const view = new IPv4View();
    for (let i = 0; i < 2000; i++) {
      const fields = {
        src: random.bytes(4),
        dst: random.bytes(4),
        protocol: random.between(0, 255),
        id: random.u32() & 0xffff,
      };
      const packet = buildIPv4Packet({ ...fields, ttl: random.between(0, 255) }, random.bytes(20));
      const wrong = random.oneIn(3);
      if (wrong) packet[10]! ^= 0x10;
      view.at(packet, 0, packet.length);
      view.replaceTtl(random.between(0, 255));
      view.replaceTotalLength(random.between(20, 40));
      expect(view.checksumValid).toBe(!wrong);
    }
  });
});

test("UDP has no checksum 0", () => {
  expect([udpChecksum(0), udpChecksum(0xffff), udpChecksum(7)]).toEqual([0xffff, 0xffff, 7]);
});

test("a checksum that was left to the device is told from a wrong one, and completed", () => {
  const addresses = { src: parseAddress("10.0.0.1").bytes, dst: parseAddress("10.0.0.2").bytes };
  const segment = buildTcp({ sport: 1, dport: 2, flags: 2 }, addresses, random.bytes(33));
  const right = buildEthernet(
    { dst: "02:00:00:00:00:01", src: "02:00:00:00:00:02", etherType: ETHERTYPE.IPV4 },
    buildIPv4Packet({ ...addresses, protocol: 6 }, segment),
  );
  const frame = right.slice();
  const view = new FrameView();
  setU16(frame, 34 + 16, foldSum(pseudoSum(frame, 26, 8, 6, segment.length)));
  view.at(frame, 0, frame.length);
  expect(view.checksumState()).toBe(CHECKSUM.PARTIAL);
  expect(completeChecksum(frame, 0, frame.length)).toBe(true);
  expect(frame).toEqual(right);
  expect(completeChecksum(frame, 0, frame.length)).toBe(false);
  frame[60]! ^= 1;
  expect(view.checksumState()).toBe(CHECKSUM.WRONG);
  expect(completeChecksum(frame, 0, frame.length)).toBe(false);
});
