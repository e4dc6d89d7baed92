// SPDX-License-Identifier: MIT
import { describe, expect, test } from "vitest";
import { XdpctlError } from "../../src/errors/index.js";
import {
  contains,
  formatAddress,
  formatCidr,
  formatIPv4,
  formatIPv6,
  formatMac,
  mapped,
  parseAddress,
  parseCidr,
  parseIPv4,
  parseIPv6,
  parseMac,
} from "../../src/packet/index.js";
import { Random } from "../fixtures/random.js";

describe("IPv4", () => {
  test.each([
    ["0.0.0.0", 0],
    ["10.0.0.1", 0x0a000001],
    ["255.255.255.255", 0xffffffff],
    ["192.168.5.100", 0xc0a80564],
  ])("%s", (text, value) => {
    expect(parseIPv4(text)).toBe(value);
    expect(formatIPv4(value)).toBe(text);
  });

  test.each([
    "",
    "1.2.3",
    "1.2.3.4.5",
    "256.0.0.1",
    "01.2.3.4",
    "1.2.3.-4",
    " 1.2.3.4",
    "1.2.3.4 ",
    "0x1.2.3.4",
    "1..2.3",
  ])("%j is none", (text) => {
    expect(parseIPv4(text)).toBeUndefined();
  });
});

describe("IPv6 is written as RFC 5952 has it", () => {
  test.each([
    ["::", "::"],
    ["::1", "::1"],
    ["0:0:0:0:0:0:0:1", "::1"],
    ["1::", "1::"],
    ["2001:DB8::1", "2001:db8::1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
    ["::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"],
    ["64:ff9b::192.0.2.33", "64:ff9b::c000:221"],
    ["::ffff:192.0.2.33", "192.0.2.33"],
    ["::ffff:0:0", "0.0.0.0"],
    ["::1.2.3.4", "::102:304"],
  ])("%s → %s", (text, canonical) => {
    expect(formatIPv6(parseIPv6(text) ?? new Uint8Array(16))).toBe(canonical);
  });

  test.each([
    "",
    ":",
    ":::",
    "1::2::3",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4:5:6:7:8::",
    "12345::",
    "g::",
    "::1%eth0",
    "1.2.3.4::",
    "::1.2.3",
    "::1.2.3.4:5",
    ":1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:",
    "1:2:3:4:5:6:7:1.2.3.4",
  ])("%j is none", (text) => {
    expect(parseIPv6(text)).toBeUndefined();
  });

  test("what it writes it reads back", () => {
    const random = new Random(7);
    for (let i = 0; i < 2000; i++) {
      const bytes = random.bytes(16).map((byte) => (random.oneIn(2) ? 0 : byte));
      expect(parseIPv6(formatIPv6(bytes)) ?? mapped(parseAddress(formatIPv6(bytes)).bytes)).toEqual(bytes);
    }
  });
});

test("a mapped address is IPv4", () => {
  expect(parseAddress("::ffff:10.0.0.1")).toEqual({ family: 4, bytes: Uint8Array.of(10, 0, 0, 1) });
  expect(formatAddress(mapped(Uint8Array.of(10, 0, 0, 1)))).toBe("10.0.0.1");
});

describe("blocks", () => {
  test.each([
    ["10.1.2.3/8", "10.0.0.0/8"],
    ["10.1.2.3", "10.1.2.3/32"],
    ["10.1.2.3/0", "0.0.0.0/0"],
    ["10.1.2.255/25", "10.1.2.128/25"],
    ["2001:db8::ffff/33", "2001:db8::/33"],
    ["2001:db8::1", "2001:db8::1/128"],
    ["::/0", "::/0"],
    ["::ffff:10.1.2.3/104", "10.0.0.0/8"],
    ["::ffff:10.1.2.3", "10.1.2.3/32"],
    ["::ffff:10.1.2.3/64", "::/64"],
  ])("%s is %s", (text, canonical) => {
    expect(formatCidr(parseCidr(text))).toBe(canonical);
  });

  test("a single host can go without its prefix length", () => {
    expect(formatCidr(parseCidr("10.0.0.1"), false)).toBe("10.0.0.1");
    expect(formatCidr(parseCidr("10.0.0.0/31"), false)).toBe("10.0.0.0/31");
  });

  test("contain what has their prefix", () => {
    const block = parseCidr("10.1.0.0/15");
    expect(contains(block, parseAddress("10.0.255.255").bytes)).toBe(true);
    expect(contains(block, parseAddress("10.2.0.0").bytes)).toBe(false);
    expect(contains(block, parseAddress("::1").bytes)).toBe(false);
  });

  test.each([
    ["10.0.0.0/33", "prefix length is not 0 to 32"],
    ["::/129", "prefix length is not 0 to 128"],
    ["10.0.0.0/", "prefix length"],
    ["10.0.0.0/08", "prefix length"],
    ["10.0.0.0/8/8", "prefix length"],
    ["10.0.0/8", "IPv4 has four numbers"],
    ["10.0.0.256/8", "each number is 0 to 255"],
    ["10.0.0.01", "leading zeros"],
    ["fe80::1%eth0", "a zone"],
    ["", "it is empty"],
    ["server", "neither IPv4"],
  ])("%j is refused: %s", (text, reason) => {
    expect(() => parseCidr(text)).toThrow(reason);
    try {
      parseCidr(text);
    } catch (error) {
      expect(XdpctlError.is(error, "XDPCTL_E_USAGE")).toBe(true);
    }
  });

  test("parseAddress takes no prefix length", () => {
    expect(() => parseAddress("10.0.0.0/8")).toThrow("an address has no prefix length");
  });
});

test("MAC addresses", () => {
  expect(parseMac("02:00:00:00:0A:ff")).toEqual(Uint8Array.of(2, 0, 0, 0, 10, 255));
  expect(parseMac("02-00-00-00-0a-ff")).toEqual(Uint8Array.of(2, 0, 0, 0, 10, 255));
  for (const text of ["", "02:00:00:00:00", "02:00:00:00:00:0g", "02:00-00:00:00:01"])
    expect(parseMac(text)).toBeUndefined();
  expect(formatMac(Uint8Array.of(2, 0, 0, 0, 10, 255))).toBe("02:00:00:00:0a:ff");
});
