// SPDX-License-Identifier: MIT
import { afterEach, describe, expect, test } from "vitest";
import { ETHERTYPE, FrameView, formatMac } from "../../src/packet/index.js";
import { flood } from "../fixtures/flood.js";
import { Garbage } from "../fixtures/garbage.js";
import { isRoot } from "../fixtures/needs.js";
import { type TestNamespace, TestPair } from "../fixtures/netns.js";
import { expectRight } from "../fixtures/spans.js";
import { ASKER, HOST } from "../fixtures/talk.js";
import { TestWire } from "../fixtures/wire.js";
import { Running } from "../fixtures/xdpctl.js";

const FRAMES = 100_000;
const SEED = 90;

const view = new FrameView();

/** An answer of the echo: whole, right, from its own MAC, to the asker's. */
function expectAnswer(frame: Uint8Array): void {
  expectRight(frame);
  expect(view.at(frame, 0, frame.length)).toBe(true);
  expect(view.network).not.toBe(0);
  expect(formatMac(frame.subarray(6, 12))).toBe(HOST.mac);
  if (view.network === ETHERTYPE.ARP) expect(view.arp.operation).toBe(2);
}

const running: Running[] = [];
afterEach(async () => {
  for (const program of running.splice(0)) await program.close();
});

interface Last {
  received: number;
  free: number;
  filling: number;
  sending: number;
  answered?: number;
}

/** Starts `xdpctl xsk …` for so many frames, floods it, and returns its last numbers, by interface. */
async function survive(
  place: { at: TestNamespace; sender: TestNamespace; name: string },
  ...args: string[]
): Promise<{ last: Last[]; back: Uint8Array[] }> {
  const program = Running.xdpctl(place.at, "xsk", ...args, "--count", `${FRAMES}`, "--json", "--stats", "50ms");
  running.push(program);
  await program.sees("\n");
  const from = { at: place.sender, name: place.name };
  const garbage = new Garbage(SEED, { least: 14, most: 1554 });
  const { back } = await flood(from, garbage, () => program.child.exitCode !== null, 8 * FRAMES);
  const { status, stdout, stderr } = await program.ended();
  expect({ status, stderr }, `seed ${SEED}`).toEqual({ status: 0, stderr: "" });
  const lines = stdout.trim().split("\n");
  return { last: lines.filter((line) => line.includes('"last":true')).map((line) => JSON.parse(line) as Last), back };
}

/** Every frame is where it was at the start: half of them free, half with the kernel to receive into. */
function expectWhole(last: readonly Last[], frames: number): void {
  expect(last.reduce((sum, { received }) => sum + received, 0)).toBeGreaterThanOrEqual(FRAMES);
  for (const { free, filling, sending } of last)
    expect({ free, filling, sending }).toEqual({ free: frames / 2, filling: frames / 2 / last.length, sending: 0 });
}

describe.skipIf(!isRoot)("100,000 random and mutated frames", () => {
  test("echo answers the right ones only; drop and tunnel take them", async () => {
    using pair = new TestPair({ net: 62 });
    const { left, right } = pair;
    right.must("ip", "link", "set", "eth0", "address", HOST.mac);
    left.must("ip", "link", "set", "eth0", "address", ASKER.mac);
    const place = { at: right, sender: left, name: "eth0" };
    const echo = await survive(place, "echo", "eth0", "--address", HOST.v4, "--address", HOST.v6);
    expectWhole(echo.last, 4096);
    expect(echo.back.length).toBeGreaterThan(100);
    for (const frame of echo.back) expectAnswer(frame);
    expectWhole((await survive(place, "drop", "eth0")).last, 4096);
    const tunnel = ["tunnel", "eth0", "--local", "127.0.0.1:4000", "--remote", "127.0.0.1:4001"];
    expectWhole((await survive(place, ...tunnel)).last, 4096);
  });

  test("forward, filter and change-word", async () => {
    using wire = new TestWire();
    const place = { at: wire.middle, sender: wire.left, name: "veth1" };
    expectWhole((await survive(place, "forward", "veth0", "veth2")).last, 8192);
    expectWhole((await survive(place, "filter", "veth0", "veth2", "--match", "pineapple")).last, 8192);
    expectWhole(
      (await survive(place, "change-word", "veth0", "veth2", "--from", "apple", "--to", "watermelon")).last,
      8192,
    );
  });
});
