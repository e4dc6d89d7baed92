// SPDX-License-Identifier: MIT
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type Frame, type Packet, Umem, XskSocket } from "../../src/xsk/index.js";
import { flood } from "../fixtures/flood.js";
import { Garbage, SEEDS } from "../fixtures/garbage.js";
import { isRoot } from "../fixtures/needs.js";
import { connect, TestPair } from "../fixtures/netns.js";
import { Random } from "../fixtures/random.js";
import { tcpFrame, udpFrame } from "../fixtures/talk.js";

const FRAMES = 100_000;
const SEED = 95;
/** What comes in two and three frames, among what comes in one. */
const LARGE = ([4, 6] as const).flatMap((family) => [
  udpFrame(family, { sport: 4242, dport: 7 }, "large ".repeat(400)),
  udpFrame(family, { sport: 4242, dport: 7 }, "larger".repeat(600)),
  tcpFrame(family, { sport: 4242, dport: 80, flags: 0x18 }, "pineapple".repeat(300)),
]);

let pair: TestPair;
beforeAll(() => {
  pair = new TestPair({ net: 45, mtu: 9000 });
  connect(pair.left, pair.right, { net: 46, left: "far0", right: "far1", mtu: 9000 });
});
afterEach(() => {
  for (const nic of XskSocket.all) nic.umem.close();
});
afterAll(() => pair?.close());

/** Does to a frame whatever a program may, and asks for more than there is. */
function mishandle(random: Random, frame: Frame, others: readonly XskSocket[], kept: Packet[]): void {
  const { bytes, start, end } = frame;
  if (frame.first > start || end > frame.limit) throw new Error(`seed ${SEED}: a frame beyond its room`);
  for (let i = 0; i < 4; i++) bytes[random.between(start, end - 1)] = random.u32() & 255;
  try {
    const by = random.between(0, random.oneIn(20) ? 70_000 : 300);
    const how = random.between(0, 5);
    if (how === 0) frame.growHead(by);
    else if (how === 1) frame.growTail(by);
    else if (how === 2) frame.trimHead(by);
    else if (how === 3) frame.trimTail(by);
    else if (how === 4) frame.resize(by * 20);
  } catch {
    // It has no such room, and is as it was.
  }
  const verdict = random.between(0, 4);
  if (verdict === 0) frame.drop();
  else if (verdict === 1) frame.send();
  else if (verdict === 2 && frame.fragments === 1) kept.push(frame.take());
  else frame.forward(random.pick(others));
}

describe.skipIf(!isRoot)("100,000 hostile frames, some in several pieces", () => {
  test.each([
    ["aligned, by loop", { frameSize: 2048 }, "loop"],
    ["unaligned, by poll", { frameSize: 3000, unaligned: true }, "poll"],
  ] as const)("two interfaces on one UMEM lose no frame: %s", async (_, options, wait) => {
    const umem = Umem.create({ ...options, frameCount: 4096, checked: true });
    const rings = { rings: { fill: 1024, rx: 1024, tx: 512, completion: 512 }, multiBuffer: true };
    const a = pair.right.run(() => XskSocket.open(umem, "eth0", rings));
    const b = pair.right.run(() => XskSocket.open(umem, "far1", rings));
    const before = umem.free;
    const random = new Random(SEED);
    const kept: Packet[] = [];
    let pieces = 0;
    const handler = (frame: Frame): void => {
      if (frame.fragments > 1) pieces++;
      mishandle(random, frame, [a, b], kept);
      if (kept.length < 64) return;
      try {
        if (random.oneIn(2)) b.send(kept);
      } catch {
        // One of them is empty: what stood before it is sent.
      }
      for (const packet of kept.splice(0)) packet.free();
    };
    let failed = false;
    const served = [a, b].map((nic) =>
      nic.serve(handler, { wait, yieldMs: 1 }).catch((error: unknown) => {
        failed = true;
        throw error;
      }),
    );
    const both = Promise.all(served);
    both.catch(() => {});
    const garbage = new Garbage(SEED, { least: 14, most: 4096, seeds: [...SEEDS, ...LARGE, ...LARGE] });
    const enough = (): boolean => failed || a.statistics.received >= FRAMES;
    await flood({ at: pair.left, name: "eth0", deaf: true, frameSize: 4096 }, garbage, enough, 8 * FRAMES);
    a.stop();
    b.stop();
    await both;
    for (const packet of kept.splice(0)) packet.free();
    await expect
      .poll(() => {
        for (const nic of [a, b]) {
          nic.produce(0, () => {});
          nic.receive(0);
        }
        return a.statistics.sending + b.statistics.sending;
      })
      .toBe(0);
    const { filling, txInvalid, received } = a.statistics;
    expect(received).toBeGreaterThanOrEqual(FRAMES);
    expect(pieces).toBeGreaterThan(FRAMES / 20);
    expect({
      free: umem.free,
      filling,
      other: b.statistics.filling,
      txInvalid: txInvalid + b.statistics.txInvalid,
    }).toEqual({
      ...{ free: before, filling: 1024, other: 1024, txInvalid: 0 },
    });
    expect(new Set(umem.stack.subarray(0, umem.free)).size).toBe(umem.free);
    umem.close();
  });
});
