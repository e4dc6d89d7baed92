// SPDX-License-Identifier: MIT
import { afterEach, beforeEach, expect, test } from "vitest";
import { type BpfMap, BpfObject, builtinPath, libbpf, type Value } from "../../src/bpf/index.js";
import { addressOf } from "../../src/linux/index.js";
import {
  buildEthernet,
  buildIPv4Packet,
  buildUdp,
  ETHERTYPE,
  IP_PROTOCOL,
  parseAddress,
} from "../../src/packet/index.js";
import { DROP, PASS } from "../fixtures/guard-model.js";
import { isRoot } from "../fixtures/needs.js";

let guard: BpfObject;

beforeEach(async (context) => {
  if (!isRoot) context.skip("needs root");
  guard = await BpfObject.load(builtinPath("guard"), { trusted: true });
});
afterEach(() => guard?.close());

const now = (): bigint => process.hrtime.bigint();
const map = (name: string): BpfMap => guard.maps[name] as BpfMap;

function udp(src: string, dport: number, sport = 4000): Uint8Array {
  const addresses = { src: parseAddress(src).bytes, dst: parseAddress("192.168.6.1").bytes };
  const packet = buildIPv4Packet({ ...addresses, protocol: IP_PROTOCOL.UDP }, buildUdp({ sport, dport }));
  return buildEthernet({ dst: "02:00:00:00:00:01", src: "02:00:00:00:00:02", etherType: ETHERTYPE.IPV4 }, packet);
}

function run(frame: Uint8Array): number {
  return guard.programs.guard?.testRun(frame).retval ?? -1;
}

function limit(prefix: string, prefixLen: number, rate: number, burst: number, expiresNs = 0n): void {
  map("limit_v4").set({ addr: prefix, prefixLen }, { rate, burst, expiresNs, prefixLen });
}

test("a source gets its burst, and then what its rate refills", () => {
  limit("10.0.0.0", 8, 100, 5);
  const frame = udp("10.0.0.1", 53);
  const verdicts = Array.from({ length: 8 }, () => run(frame));
  expect(verdicts.slice(0, 5)).toEqual([PASS, PASS, PASS, PASS, PASS]);
  expect(verdicts[7]).toBe(DROP);
  expect(run(udp("10.0.0.2", 53))).toBe(PASS); // each source has a bucket of its own
  expect(run(udp("11.0.0.1", 53))).toBe(PASS);
  const end = now() + 2_000_000_000n;
  while (run(frame) === DROP) expect(now()).toBeLessThan(end);
});

test("a rule that has expired is as if it were not there: the wider one decides", () => {
  const past = now() - 1n;
  const deny = (addr: string, prefixLen: number, expiresNs = 0n): void =>
    map("deny_v4").set({ addr, prefixLen }, { expiresNs, prefixLen });
  deny("10.0.0.0", 8);
  for (const [addr, length] of [
    ["10.1.0.0", 16],
    ["10.1.1.0", 24],
    ["10.1.1.1", 32],
  ] as const)
    deny(addr, length, past);
  expect(run(udp("10.1.1.1", 53))).toBe(DROP);
  expect(map("deny_v4").get({ addr: "10.0.0.0", prefixLen: 8 })).toMatchObject({ hits: 1n });
  limit("11.0.0.0", 8, 0, 1);
  limit("11.0.0.1", 32, 1000, 1000, past);
  expect(run(udp("11.0.0.1", 53))).toBe(DROP);
  deny("12.0.0.1", 32, past);
  expect(run(udp("12.0.0.1", 53))).toBe(PASS);
});

test("the longest prefix limits; an allow rule comes first; rate 0 lets nothing through", () => {
  limit("10.0.0.0", 8, 0, 100);
  limit("10.1.0.0", 16, 1, 2);
  expect(run(udp("10.2.0.1", 53))).toBe(DROP);
  expect([1, 2, 3].map(() => run(udp("10.1.0.1", 53)))).toEqual([PASS, PASS, DROP]);
  map("allow_v4").set({ addr: "10.2.0.1", prefixLen: 32 }, {});
  expect(run(udp("10.2.0.1", 53))).toBe(PASS);
});

test("a bucket that a slower rule left empty refills at the new rule's rate", () => {
  limit("10.0.0.0", 8, 1, 100);
  const frame = udp("10.0.0.1", 53);
  for (let i = 0; i < 100; i++) run(frame);
  expect(run(frame)).toBe(DROP);
  limit("10.0.0.0", 8, 1000, 1);
  const end = now() + 2_000_000_000n;
  while (run(frame) === DROP) expect(now()).toBeLessThan(end);
});

test("rules stop at their time, decided by the program", () => {
  const lasts = now() + 50_000_000n;
  map("deny_v4").set({ addr: "10.0.0.0", prefixLen: 8 }, { expiresNs: lasts });
  limit("11.0.0.0", 8, 0, 0, lasts);
  const verdicts: Value[] = [];
  for (;;) {
    const before = now();
    const verdict = [run(udp("10.0.0.1", 53)), run(udp("11.0.0.1", 53))];
    const after = now();
    if (after < lasts) expect(verdict).toEqual([DROP, DROP]);
    if (before >= lasts) {
      expect(verdict).toEqual([PASS, PASS]);
      break;
    }
    verdicts.push(verdict);
  }
  expect(verdicts.length).toBeGreaterThan(0);
});

test("two CPUs take no token twice, and lose no hit", async () => {
  const burst = 300_000;
  const runs = 250_000;
  limit("10.0.0.0", 8, 1, burst);
  const frame = Buffer.from(udp("10.0.0.1", 53));
  const testRun = libbpf.func("int bpf_prog_test_run_opts(int, void *)") as unknown as {
    async(fd: number, opts: Buffer, done: (error: unknown, result: number) => void): void;
  };
  const started = now();
  const one = (): Promise<number> =>
    new Promise((resolve, reject) => {
      const opts = Buffer.alloc(80);
      opts.writeBigUInt64LE(80n, 0);
      opts.writeBigUInt64LE(addressOf(frame), 8);
      opts.writeUInt32LE(frame.length, 24);
      opts.writeInt32LE(runs, 60);
      testRun.async(guard.programs.guard?.fd ?? -1, opts, (error, result) =>
        error ? reject(error) : resolve(opts.length > 0 ? result : -1),
      );
    });
  expect(await Promise.all([one(), one()])).toEqual([0, 0]);
  const refilled = Number((now() - started) / 1_000_000_000n) + 1;

  let passed = 0;
  let dropped = 0;
  for (const [key, counters] of map("stats") as unknown as BpfMap<{ verdict: number }, { packets: bigint }[]>) {
    const packets = Number(counters.reduce((sum, c) => sum + c.packets, 0n));
    if (key.verdict === PASS) passed += packets;
    else dropped += packets;
  }
  expect(passed + dropped).toBe(2 * runs);
  expect(passed).toBeGreaterThanOrEqual(burst);
  expect(passed).toBeLessThanOrEqual(burst + refilled);
  const rule = map("limit_v4").get({ addr: "10.0.0.0", prefixLen: 8 }) as { hits: bigint };
  expect(Number(rule.hits)).toBe(dropped);
});
