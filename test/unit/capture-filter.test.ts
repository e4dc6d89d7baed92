// SPDX-License-Identifier: MIT
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it, test } from "vitest";
import { FilterInterpreter } from "../../src/capture/classic/interpret.js";
import { translateFilter } from "../../src/capture/classic/translate.js";
import { compileFilter } from "../../src/capture/filter.js";
import { FILTERS, filterFrames } from "../fixtures/filters.js";

const folder = mkdtempSync(join(tmpdir(), "xdpctl-filter-"));
afterAll(() => rmSync(folder, { recursive: true }));

const frames = filterFrames(300);
const file = join(folder, "frames.pcap");
writeFileSync(file, pcap(frames));

/** A frame's number is its time. */
function pcap(list: readonly Uint8Array[]): Buffer {
  const head = Buffer.alloc(24);
  for (const [at, value] of [0xa1b2c3d4, 0x00040002, 0, 0, 262_144, 1].entries()) head.writeUInt32LE(value, at * 4);
  const blocks = list.map((frame, i) => {
    const block = Buffer.alloc(16);
    for (const [at, value] of [i, 0, frame.length, frame.length].entries()) block.writeUInt32LE(value, at * 4);
    return Buffer.concat([block, frame]);
  });
  return Buffer.concat([head, ...blocks]);
}

/** Numbers of the frames that tcpdump lets through. */
function judge(expression: string): number[] {
  const run = spawnSync("tcpdump", ["-r", file, "-w", "-", expression], { maxBuffer: 1 << 26 });
  if (run.status !== 0) throw new Error(`${expression}: ${run.stderr.toString()}`);
  const found: number[] = [];
  for (let at = 24; at < run.stdout.length; at += 16 + run.stdout.readUInt32LE(at + 8)) {
    found.push(run.stdout.readUInt32LE(at));
  }
  return found;
}

describe("filters", () => {
  it.each(FILTERS)("%s: the frames that tcpdump finds", (expression) => {
    const filter = new FilterInterpreter(compileFilter(expression));
    // Inside of something larger, as in a ring.
    const ring = Buffer.alloc(4096, 0xff);
    const ours = frames.flatMap((frame, i) => {
      ring.fill(0xff).set(frame, 77);
      return filter.matches(ring, 77, 77 + frame.length) ? [i] : [];
    });
    expect(ours).toEqual(judge(expression));
  });

  it("finds something, and not all, with most of them", () => {
    const counts = FILTERS.map((one) => {
      const filter = new FilterInterpreter(compileFilter(one));
      return frames.filter((frame) => filter.matches(frame, 0, frame.length)).length;
    });
    expect(counts.filter((count) => count > 0 && count < frames.length).length).toBeGreaterThan(FILTERS.length * 0.9);
  });
});

/** struct sock_filter. */
const program = (...instructions: [number, number, number, number][]): Uint8Array => {
  const bytes = Buffer.alloc(instructions.length * 8);
  for (const [i, [code, yes, no, k]] of instructions.entries()) {
    bytes.writeUInt16LE(code, i * 8);
    bytes.writeUInt8(yes, i * 8 + 2);
    bytes.writeUInt8(no, i * 8 + 3);
    bytes.writeUInt32LE(k, i * 8 + 4);
  }
  return bytes;
};
const EXITS = { steps: 3, note: 4, match: 1, mismatch: 2 };

test("what is no filter is refused, by both", () => {
  const wrong: [string, Uint8Array][] = [
    ["nothing", program()],
    ["half an instruction", new Uint8Array(12)],
    ["no end", program([0x00, 0, 0, 1])],
    ["a jump out of it", program([0x15, 5, 0, 1], [0x06, 0, 0, 1])],
    ["a far jump", program([0x05, 0, 0, 0xffff_ffff], [0x06, 0, 0, 1])],
    ["memory that is not there", program([0x02, 0, 0, 16], [0x06, 0, 0, 1])],
  ];
  for (const [what, filter] of wrong) {
    const refused = expect.objectContaining({ code: "XDPCTL_E_USAGE" });
    expect(() => new FilterInterpreter(filter), what).toThrow(refused);
    expect(() => translateFilter(filter, EXITS), what).toThrow(refused);
  }
  // libpcap makes a loop of it, which neither the kernel nor we run.
  expect(() => new FilterInterpreter(compileFilter("ip6 protochain 17"))).toThrow(/protochain/);
});

test("arithmetic is that of 32 bits without a sign", () => {
  const answer = (...body: [number, number, number, number][]): number =>
    new FilterInterpreter(program(...body, [0x16, 0, 0, 0])).run(new Uint8Array(64), 0, 64);
  const [LD, LDX, TAX] = [0x00, 0x01, 0x07];
  const MAX = 0xffff_ffff;
  expect(answer([LD, 0, 0, MAX], [0x04, 0, 0, 1])).toBe(0);
  expect(answer([LD, 0, 0, 0], [0x14, 0, 0, 1])).toBe(MAX);
  expect(answer([LD, 0, 0, MAX], [0x34, 0, 0, 2])).toBe(0x7fff_ffff);
  expect(answer([LD, 0, 0, MAX], [0x94, 0, 0, 16])).toBe(15);
  expect(answer([LD, 0, 0, 0x1_0001], [0x24, 0, 0, 0x1_0001])).toBe(0x2_0001);
  expect(answer([LD, 0, 0, 1], [0x64, 0, 0, 31])).toBe(0x8000_0000);
  expect(answer([LD, 0, 0, 1], [LDX, 0, 0, 32], [0x6c, 0, 0, 0])).toBe(0);
  expect(answer([LD, 0, 0, 1], [0x84, 0, 0, 0])).toBe(MAX);
  // Division by nothing is a mismatch, as is a load by an index beyond all.
  expect(answer([LD, 0, 0, 7], [LDX, 0, 0, 0], [0x3c, 0, 0, 0])).toBe(0);
  expect(answer([LD, 0, 0, MAX], [TAX, 0, 0, 0], [0x50, 0, 0, 4])).toBe(0);
  expect(answer([0x80, 0, 0, 0])).toBe(64);
});
