// SPDX-License-Identifier: MIT
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { type BpfMap, BpfObject, builtinPath, readObjectSpec, RingBuffer } from "../../src/bpf/index.js";
import { XdpctlError } from "../../src/errors/index.js";
import { compileBpf, UNCHECKED } from "../fixtures/compile.js";

async function failure(promise: Promise<unknown>): Promise<XdpctlError> {
  try {
    await promise;
  } catch (error) {
    if (XdpctlError.is(error)) return error;
    throw error;
  }
  throw new Error("it did not fail");
}

test("a rejected program is one line with the source, and the whole log on demand", async () => {
  const error = await failure(BpfObject.load(readObjectSpec(compileBpf(UNCHECKED), "filter.bpf.o")));
  expect(error.code).toBe("XDPCTL_E_VERIFIER");
  expect(error.exitCode).toBe(4);
  expect(error.message).toBe("the verifier refused `filter` in filter.bpf.o");
  expect(error.lines.join("\n")).toMatch(/filter\.bpf\.c:\d+ {2}.*h_proto/);
  expect(error.lines.join("\n")).toMatch(/reads \d+ bytes at offset \d+ of the packet, but only 0 bytes were checked/);
  expect(error.log).toMatch(/processed \d+ insns/);
});

test("an unknown section is refused with libbpf's reason", async () => {
  const object = compileBpf('SEC("foobar/x") int filter(void *ctx) { return 0; }');
  const error = await failure(BpfObject.load(object));
  expect(error.code).toBe("XDPCTL_E_LOAD");
  expect(error.kernel).toMatch(/foobar\/x/);
});

test("objects on which libbpf crashes cost a child, not this process", { timeout: 120_000 }, async () => {
  const bytes = readFileSync(builtinPath("pass"));
  let state = 7;
  const random = (below: number): number => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return (state >>> 8) % below;
  };
  for (let i = 0; i < 60; i++) {
    const damaged = Buffer.from(bytes);
    for (let j = 0; j < 8; j++) damaged[random(damaged.length)] = random(256);
    try {
      (await BpfObject.load(damaged)).close();
    } catch (error) {
      expect(XdpctlError.is(error), String(error)).toBe(true);
    }
  }
});

const MAPS = `
struct key { __u32 a; __u16 b; };
struct value { __u64 n; char name[8]; };
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 3000); __type(key, struct key); __type(value, struct value); } h SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 10); __type(key, __u32); __type(value, __u64); } a SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY); __uint(max_entries, 2); __type(key, __u32); __type(value, __u64); } pa SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_PERCPU_HASH); __uint(max_entries, 100); __type(key, __u32); __type(value, __u32); } ph SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_LRU_HASH); __uint(max_entries, 64); __type(key, __u32); __type(value, __u32); } lru SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 4); __type(key, __u32); __type(value, __u32); } small SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } ring SEC(".maps");
const volatile __u32 size = 8;
const volatile __u8 flag = 0;
SEC("xdp") int filter(struct xdp_md *ctx)
{
	__u32 zero = 0;
	struct key k = {};
	bpf_map_lookup_elem(&h, &k); bpf_map_lookup_elem(&a, &zero); bpf_map_lookup_elem(&pa, &zero);
	bpf_map_lookup_elem(&ph, &zero); bpf_map_lookup_elem(&lru, &zero); bpf_map_lookup_elem(&small, &zero);
	if (size > 64) {
		void *big = bpf_ringbuf_reserve(&ring, 200, 0);
		if (big) bpf_ringbuf_discard(big, 0);
	}
	__u64 *r = bpf_ringbuf_reserve(&ring, 24, 0);
	if (!r) return XDP_ABORTED;
	r[0] = bpf_ktime_get_ns(); r[1] = size; r[2] = flag;
	bpf_ringbuf_submit(r, 0);
	return XDP_PASS;
}
`;

const spec = (() => {
  let made: ReturnType<typeof readObjectSpec> | undefined;
  return () => {
    made ??= readObjectSpec(compileBpf(MAPS), "maps.bpf.o");
    return made;
  };
})();

test("maps of every kind are read, written and listed by type", async () => {
  const object = await BpfObject.load(spec());
  const { h, a, pa, ph, small } = object.maps as Record<string, BpfMap>;
  try {
    h?.setMany(
      Array.from(
        { length: 2500 },
        (_, i) =>
          [
            { a: i, b: 1 },
            { n: BigInt(i) << 40n, name: `n${i}` },
          ] as never,
      ),
    );
    expect(h?.count()).toBe(2500);
    expect(h?.get({ a: 77, b: 1 })).toEqual({ n: 77n << 40n, name: "n77" });
    expect(new Set(Array.from(h?.keys() ?? [], (k) => (k as { a: number }).a)).size).toBe(2500);
    expect(h?.delete({ a: 77, b: 1 })).toBe(true);
    expect(h?.delete({ a: 77, b: 1 })).toBe(false);
    expect(() => h?.set({ a: 1, b: 1 }, {}, { only: "create" })).toThrow(
      expect.objectContaining({ code: "XDPCTL_E_KEY_EXISTS" }),
    );
    expect(() => h?.set({ a: 77, b: 1 }, {}, { only: "replace" })).toThrow(
      expect.objectContaining({ code: "XDPCTL_E_NO_KEY" }),
    );
    expect(h?.clear()).toBe(2499);
    a?.set(3, 2n ** 63n);
    expect(a?.get(3)).toBe(2n ** 63n);
    expect(() => a?.get(10) ?? "none").not.toThrow();
    expect(a?.count()).toBe(10);
    pa?.set(0, 5n);
    expect(pa?.get(0)).toEqual(Array(pa ? (pa.get(0) as unknown[]).length : 0).fill(5n));
    ph?.set(9, 4);
    expect([...(ph?.entries() ?? [])]).toHaveLength(1);
    for (let i = 0; i < 4; i++) small?.set(i, i);
    expect(() => small?.set(4, 4)).toThrow(expect.objectContaining({ code: "XDPCTL_E_MAP_FULL", exitCode: 8 }));
    expect(() => a?.setBytes(Buffer.alloc(3), Buffer.alloc(8))).toThrow(
      expect.objectContaining({ code: "XDPCTL_E_BAD_KEY" }),
    );
  } finally {
    object.close();
  }
});

test("variables are set by name before the verifier looks, and checked", async () => {
  const object = await BpfObject.load(spec(), { variables: { size: 200, flag: 1 } });
  const ring = new RingBuffer(object.maps.ring as BpfMap);
  object.programs.filter?.testRun(Buffer.alloc(64));
  const seen: number[][] = [];
  ring.consume((at) =>
    seen.push([Number(ring.view.getBigUint64(at + 8, true)), Number(ring.view.getBigUint64(at + 16, true))]),
  );
  expect(seen).toEqual([[200, 1]]);
  ring.close();
  object.close();
  expect((await failure(BpfObject.load(spec(), { variables: { sise: 1 } }))).message).toMatch(/no variable sise/);
  expect((await failure(BpfObject.load(spec(), { variables: { flag: 256 } }))).message).toMatch(/takes 0 to 255/);
});

test("the ring is read in place, past its end, past discarded records, and goes on where it stood", async () => {
  const object = await BpfObject.load(spec(), { variables: { size: 100 } });
  const map = object.maps.ring as BpfMap;
  let ring = new RingBuffer(map);
  const program = object.programs.filter;
  let read = 0;
  for (let round = 0; round < 120; round++) {
    program?.testRun(Buffer.alloc(64), { repeat: 7 });
    const n = ring.consume((_at, length) => {
      expect(length).toBe(24);
      read++;
    }, 5);
    expect(n).toBe(5);
    // Another reader begins where this one ended.
    if (round % 15 === 0) {
      ring.close();
      ring = new RingBuffer(map);
    }
    ring.consume(() => read++);
    expect(ring.pending).toBe(0);
  }
  expect(read).toBe(840);
  program?.testRun(Buffer.alloc(64), { repeat: 3 });
  expect(() => {
    ring.consume(() => {
      throw new Error("in the handler");
    });
  }).toThrow("in the handler");
  expect(ring.consume(() => undefined)).toBe(2);
  ring.close();
  expect(ring.consume(() => undefined)).toBe(0);
  object.close();
});

test("a map of another layout is not reused", async () => {
  const first = await BpfObject.load(spec());
  const other = compileBpf(
    MAPS.replace(
      "__uint(max_entries, 10); __type(key, __u32); __type(value, __u64)",
      "__uint(max_entries, 10); __type(key, __u32); __type(value, __u32)",
    ),
  );
  const error = await failure(BpfObject.load(other, { reuse: { a: first.maps.a as BpfMap } }));
  expect(["XDPCTL_E_LAYOUT", "XDPCTL_E_LOAD"]).toContain(error.code);
  first.close();
});
