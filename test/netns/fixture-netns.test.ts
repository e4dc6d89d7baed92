// SPDX-License-Identifier: MIT
import { existsSync } from "node:fs";
import { expect, test } from "vitest";
import { interfaceIndex } from "../../src/linux/index.js";
import { remaining, snapshot } from "../fixtures/leaks.js";
import { TestPair } from "../fixtures/netns.js";

test("a pair of namespaces answers pings of both families, is entered by a thread, and goes when it is closed", () => {
  const pair = new TestPair({ left: "veth-l", mtu: 1400 });
  try {
    expect(pair.left.ping(pair.rightAddress)).toBe(1);
    expect(pair.left.ping(pair.rightAddress6)).toBe(1);
    expect(pair.left.run(() => interfaceIndex("veth-l"))).toBeGreaterThan(0);
    expect(interfaceIndex("veth-l")).toBeUndefined();
    expect(pair.left.must("cat", "/proc/self/net/dev")).toContain("veth-l");
  } finally {
    pair.close();
  }
  expect(existsSync(pair.left.path)).toBe(false);
});

test("a namespace and a mount that stay are named", async () => {
  const before = snapshot();
  const pair = new TestPair();
  const left = await remaining(before, undefined, 0);
  expect(left).toContain(`file ${pair.left.path}`);
  pair.close();
  expect((await remaining(before, undefined, 2000)).filter((text) => text.includes(pair.left.name))).toEqual([]);
});
