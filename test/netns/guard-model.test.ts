// SPDX-License-Identifier: MIT
import { expect, test } from "vitest";
import { type BpfMap, BpfObject, builtinPath, RingBuffer } from "../../src/bpf/index.js";
import { EVENT_OFFSET, EVENT_SIZE } from "../../src/events/index.js";
import { formatAddress, parseAddress, mapped } from "../../src/packet/index.js";
import { FrameGenerator } from "../fixtures/frames.js";
import { flowKeyOf, GuardModel, hexOf, type ModelEvent, REASON } from "../fixtures/guard-model.js";
import { install, placed, randomRules } from "../fixtures/guard-rules.js";
import { needs, isRoot } from "../fixtures/needs.js";
import { Random } from "../fixtures/random.js";

const FRAMES = 100_000;
const SEED = Number(process.env.XDPCTL_TEST_SEED ?? 20_260_101);
const now = (): number => Number(process.hrtime.bigint());

/** One line for an event of the model, or of the ring: what both must agree on. */
function lineOf(event: ModelEvent): string {
  const p = event.packet;
  const head = [event.type, event.verdict, event.reason, event.prefixLen, p.family, p.proto, p.sport, p.dport];
  return [...head, p.ethProto, p.vlan, p.length, p.tcpFlags, hexOf(p.src), hexOf(p.dst)].join(" ");
}

function lineAt(view: DataView, bytes: Uint8Array, at: number): string {
  const o = EVENT_OFFSET;
  const u8 = (offset: number): number => view.getUint8(at + offset);
  const be16 = (offset: number): number => view.getUint16(at + offset);
  return [
    ...[u8(o.type), u8(o.verdict), u8(o.reason), u8(o.prefixLen), u8(o.family), u8(o.proto)],
    ...[be16(o.sport), be16(o.dport), be16(o.ethProto), view.getUint16(at + o.vlan, true)],
    ...[view.getUint32(at + o.length, true), u8(o.tcpFlags)],
    ...[hexOf(bytes.subarray(at + o.src, at + o.src + 16)), hexOf(bytes.subarray(at + o.dst, at + o.dst + 16))],
  ].join(" ");
}

function address16(text: string): Uint8Array {
  const { family, bytes } = parseAddress(text);
  return family === 4 ? mapped(bytes) : bytes;
}

interface StatsKey {
  ifindex: number;
  verdict: number;
  reason: number;
  proto: number;
}
interface Counter {
  packets: bigint;
  bytes: bigint;
}
interface FlowKey {
  src: string;
  dst: string;
  sport: number;
  dport: number;
  proto: number;
}
interface Flow {
  firstNs: bigint;
  lastNs: bigint;
  packets: bigint;
  bytes: bigint;
  ifindex: number;
}

test(`the guard and its model agree on ${FRAMES} generated frames (seed ${SEED})`, {
  timeout: 120_000,
}, async (context) => {
  needs(context, isRoot, "root");
  using guard = await BpfObject.load(builtinPath("guard"), { trusted: true });
  const maps = guard.maps;
  const random = new Random(SEED);
  const frames = new FrameGenerator(random);
  const rules = randomRules(random, frames, now());
  install(maps, rules);
  const model = new GuardModel(rules);
  using ring = new RingBuffer(maps.events as BpfMap);
  const runner = guard.programs.guard?.runner(16_384);
  if (runner === undefined) throw new Error("guard.bpf.o has no program guard");

  let expected: string[] = [];
  let reported = 0;
  const compareEvents = (): void => {
    const seen: string[] = [];
    ring.consume((at, length) => {
      expect(length).toBe(EVENT_SIZE);
      seen.push(lineAt(ring.view, ring.bytes, at));
    });
    reported += seen.length;
    expect(seen).toEqual(expected);
    expected = [];
  };

  const seenReasons = new Map<number, number>();
  for (let i = 0; i < FRAMES; i++) {
    const frame = frames.next();
    const from = now();
    const verdict: number = runner.run(frame);
    const outcome = model.run(frame, { from, to: now() }, verdict);
    if (verdict !== outcome.verdict) {
      const { packet, reason } = outcome;
      const shown = { ...packet, src: formatAddress(packet.src), dst: formatAddress(packet.dst) };
      expect.fail(
        `frame ${i}: the program returned ${verdict}, the model ${outcome.verdict} for reason ${reason}\n` +
          `${JSON.stringify(shown)}\n${hexOf(frame)}`,
      );
    }
    seenReasons.set(outcome.reason, (seenReasons.get(outcome.reason) ?? 0) + 1);
    if (outcome.event !== undefined) expected.push(lineOf(outcome.event));
    if (i % 1000 === 999) compareEvents();
  }
  compareEvents();

  // The generator must reach every answer often enough to mean something.
  for (const reason of Object.values(REASON)) expect(seenReasons.get(reason) ?? 0).toBeGreaterThan(100);
  expect(reported).toBeGreaterThan(10_000);
  expect(model.undecided).toBeLessThan(FRAMES / 1000);

  const stats = new Map<string, { packets: number; bytes: number }>();
  for (const [key, counters] of maps.stats as unknown as BpfMap<StatsKey, Counter[]>) {
    expect(key.ifindex).toBe(1); // a test run's frames come from the loopback interface
    const sum = (field: keyof Counter): number => Number(counters.reduce((total, c) => total + c[field], 0n));
    stats.set(`${key.verdict} ${key.reason} ${key.proto}`, { packets: sum("packets"), bytes: sum("bytes") });
  }
  expect(stats).toEqual(model.stats);

  const flows = new Map<string, Flow>();
  for (const [key, flow] of maps.flows as unknown as BpfMap<FlowKey, Flow>)
    flows.set(flowKeyOf({ ...key, src: address16(key.src), dst: address16(key.dst) }), flow);
  expect(flows.size).toBe(model.flows.size);
  expect(flows.size).toBeGreaterThan(1000);
  for (const [key, flow] of model.flows) {
    const there = flows.get(key);
    if (there === undefined) throw new Error(`the flow table has no ${key}`);
    expect([key, Number(there.packets), Number(there.bytes), there.ifindex]).toEqual([
      key,
      flow.packets,
      flow.bytes,
      1,
    ]);
    expect(Number(there.firstNs)).toBeGreaterThanOrEqual(flow.first.from);
    expect(Number(there.firstNs)).toBeLessThanOrEqual(flow.first.to);
    expect(Number(there.lastNs)).toBeGreaterThanOrEqual(flow.last.from);
    expect(Number(there.lastNs)).toBeLessThanOrEqual(flow.last.to);
  }

  let matched = 0;
  for (const { map, key, rule } of placed(maps, rules)) {
    const there = map.get(key) as { hits: bigint; owner: string };
    expect([map.name, key, Number(there.hits), there.owner]).toEqual([map.name, key, rule.hits, "test"]);
    if (rule.expiresNs === 1) expect(rule.hits).toBe(0);
    if (rule.hits > 0) matched++;
  }
  expect(matched).toBeGreaterThan(20);

  const buckets = [...(maps.buckets as unknown as BpfMap<string, { fullNs: bigint }>)];
  expect(buckets.length).toBe(model.buckets.size);
  for (const [source, bucket] of buckets) {
    const value = typeof bucket === "object" ? bucket.fullNs : bucket;
    const full = model.buckets.get(hexOf(address16(source)));
    expect(Number(value)).toBeGreaterThanOrEqual(full?.from ?? Number.POSITIVE_INFINITY);
    expect(Number(value)).toBeLessThanOrEqual(full?.to ?? 0);
  }

  const lost = (maps.lost as unknown as BpfMap<number, bigint[]>).get(0);
  expect(lost?.reduce((a, b) => a + b, 0n)).toBe(0n);
});
