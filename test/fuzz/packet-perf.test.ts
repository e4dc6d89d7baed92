// SPDX-License-Identifier: MIT
import { expect, test } from "vitest";
import {
  answerPing,
  CHECKSUM,
  describeFrame,
  FrameView,
  PERF,
  PERF_BYTES,
  readPerf,
  UdpTemplate,
} from "../../src/packet/index.js";
import { FrameGenerator } from "../fixtures/frames.js";
import { Random } from "../fixtures/random.js";
import { expectRight, faultOf, GuardedSpan } from "../fixtures/spans.js";

const FRAMES = 100_000;
const PORT = 9000;
const MACS = { srcMac: "02:00:00:00:00:01", dstMac: "02:00:00:00:00:02", sport: PORT + 1, dport: PORT };
const V4 = { ...MACS, src: "10.0.0.4", dst: "10.0.0.5" };
const V6 = { ...MACS, src: "2001:db8::1", dst: "2001:db8::2" };

test("every number of every size has right checksums, and comes back as its Pong", () => {
  const random = new Random(71);
  const guarded = new GuardedSpan();
  const header = { number: 0, operation: 0 };
  for (const ends of [V4, V6])
    for (const size of [0, 64, 101, 1514]) {
      const template = new UdpTemplate(ends, size);
      expect(template.length).toBe(Math.max(size, template.payloadAt + PERF_BYTES));
      expectRight(template.bytes);
      for (const number of [0, 1, 0xffff, 0x10000, 0xffffffff, ...Array.from({ length: 200 }, () => random.u32())]) {
        const span = guarded.load(template.bytes);
        template.write(span.bytes, span.start, random.u32(), PERF.SYN);
        template.number(span.bytes, span.start, number, PERF.PING);
        expectRight(span.copy());
        expect(answerPing(span, PORT)).toBe("pong");
        expectRight(span.copy());
        expect(guarded.intact(span.start, span.end)).toBe(true);
        expect(readPerf(span, PORT + 1, header)).toBe(true);
        expect(header).toEqual({ number, operation: PERF.PONG });
        // A Pong is not answered: two that answer would never end.
        expect(answerPing(span, PORT + 1)).toBeUndefined();
      }
      const span = guarded.load(template.bytes);
      template.write(span.bytes, span.start, 7, PERF.SYN);
      expect(answerPing(span, PORT)).toBe("ack");
      expect(answerPing(guarded.load(template.bytes), PORT + 2)).toBeUndefined();
    }
});

test("100,000 mutated and random frames: no answer to garbage, and no description fails", () => {
  const random = new Random(72);
  const generator = new FrameGenerator(new Random(73));
  const guarded = new GuardedSpan(4096);
  const view = new FrameView();
  const templates = [V4, V6].flatMap((ends) => [0, 64, 300].map((size) => new UdpTemplate(ends, size)));
  let answers = 0;
  for (let i = 0; i < FRAMES; i++) {
    let frame: Uint8Array;
    if (random.oneIn(4)) frame = generator.next().slice(0, 2048);
    else {
      frame = random.pick(templates).bytes.slice();
      for (let n = random.between(0, 3); n > 0; n--) frame[random.between(0, frame.length - 1)] = random.u32();
      if (random.oneIn(5)) frame = frame.slice(0, random.between(0, frame.length));
    }
    if (describeFrame(frame) === "") expect.fail("no description");
    const span = guarded.load(frame);
    const wrong = !view.at(frame, 0, frame.length) || view.checksumState() === CHECKSUM.WRONG;
    if (answerPing(span, PORT) === undefined) {
      if (!guarded.intact(span.start, span.end) || Buffer.compare(span.copy(), frame) !== 0)
        expect.fail(`not answered, but changed: ${Buffer.from(frame).toString("hex")}`);
      continue;
    }
    answers++;
    const fault = wrong ? "an answer to garbage" : faultOf(span.copy());
    if (fault !== undefined || !guarded.intact(span.start, span.end))
      expect.fail(`${fault}: ${Buffer.from(frame).toString("hex")}`);
  }
  expect(answers).toBeGreaterThan(FRAMES / 20);
});
