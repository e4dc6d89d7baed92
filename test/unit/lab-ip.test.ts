// SPDX-License-Identifier: MIT
import { describe, expect, it } from "vitest";
import {
  type Prefix,
  firstFree,
  ipText,
  networkOf,
  NetworkSet,
  notAHost,
  parseIp,
  parsePrefix,
  prefixText,
} from "../../src/lab/ip.js";
import { addressText } from "../../src/linux/index.js";

const prefix = (text: string) => {
  const found = parsePrefix(text);
  if (found === undefined) throw new Error(text);
  return found;
};

describe("addresses as numbers", () => {
  it.each([
    "0.0.0.0",
    "192.168.5.100",
    "255.255.255.255",
    "::",
    "::1",
    "fd00:5::1",
    "2001:db8:0:1:0:0:0:1",
    "1::",
    "1:2:3:4:5:6:7:8",
    "::fffe:0:1",
    "2001:0:0:1::",
    "64:ff9b::192.0.2.33",
  ])("%s is written as the kernel writes it", (text) => {
    const ip = parseIp(text);
    if (ip === undefined) throw new Error(text);
    const size = ip.family === 4 ? 4 : 16;
    const bytes = Uint8Array.from({ length: size }, (_, i) => Number((ip.value >> BigInt(8 * (size - 1 - i))) & 255n));
    expect(ipText(ip.family, ip.value)).toBe(addressText(bytes));
  });

  it.each(["", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "g::", "1::2::3", "fe80::1%eth0", "1.2.3.4 "])(
    "`%s` is none",
    (text) => {
      expect(parseIp(text)).toBeUndefined();
    },
  );

  it.each(["1.2.3.4", "1.2.3.4/33", "::/129", "1.2.3.4/", "1.2.3.4/-1", "1.2.3.4/2/3"])("`%s` is no prefix", (text) => {
    expect(parsePrefix(text)).toBeUndefined();
  });

  it("know their networks", () => {
    expect(prefixText(networkOf(prefix("192.168.5.100/24")))).toBe("192.168.5.0/24");
    expect(prefixText(networkOf(prefix("fd00:5::100/64")))).toBe("fd00:5::/64");
    const overlap = (a: Prefix, b: Prefix): boolean => {
      const [first, second, asked] = [new NetworkSet(), new NetworkSet(), new NetworkSet()];
      first.add(a);
      second.add(b);
      // What is added after a question counts as well.
      asked.overlaps(b);
      asked.add(a);
      const found = first.overlaps(b);
      expect([second.overlaps(a), asked.overlaps(b)]).toEqual([found, found]);
      return found;
    };
    expect(overlap(prefix("10.0.0.0/8"), prefix("10.9.0.0/16"))).toBe(true);
    expect(overlap(prefix("10.0.0.0/16"), prefix("10.0.9.1/16"))).toBe(true);
    expect(overlap(prefix("10.0.0.0/16"), prefix("10.1.0.0/16"))).toBe(false);
    expect(overlap(prefix("::/0"), prefix("0.0.0.0/0"))).toBe(false);
  });

  it("know what no host may have", () => {
    expect(notAHost(prefix("10.0.0.255/24"))).toContain("broadcast");
    expect(notAHost(prefix("10.0.0.0/24"))).toContain("network");
    expect(notAHost(prefix("10.0.0.0/31"))).toBeUndefined();
    expect(notAHost(prefix("10.0.0.0/32"))).toBeUndefined();
    expect(notAHost(prefix("fd00::/128"))).toBeUndefined();
  });

  it("find what is free", () => {
    expect(firstFree(prefix("10.0.0.0/30"), new Set(["10.0.0.1"]))).toEqual(prefix("10.0.0.2/30"));
    expect(firstFree(prefix("10.0.0.0/30"), new Set(["10.0.0.1", "10.0.0.2"]))).toBeUndefined();
    expect(firstFree(prefix("10.0.0.0/31"), new Set())).toEqual(prefix("10.0.0.0/31"));
    expect(firstFree(prefix("fd00::/64"), new Set())).toEqual(prefix("fd00::1/64"));
  });
});
