// SPDX-License-Identifier: MIT
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  type BpfMap,
  BpfObject,
  type BpfProgram,
  builtinPath,
  readObjectSpec,
  type Value,
} from "../../src/bpf/index.js";
import { attach } from "../../src/xdp/index.js";
import { compileBpf } from "../fixtures/compile.js";
import { TestPair } from "../fixtures/netns.js";

/** What `struct event` is in TypeScript, as a user would write it. */
interface GuardEvent {
  type: "EVENT_FLOW" | "EVENT_DENY" | "EVENT_RATE" | "EVENT_MALFORMED";
  timeNs: bigint;
  proto: number;
  src: string;
  dst: string;
  length: number;
}

interface Guard {
  programs: { guard: BpfProgram };
  maps: { deny_v4: BpfMap<{ addr: string; prefixLen: number }, Value> } & Record<string, BpfMap>;
  events: { events: GuardEvent };
}

const RECORDS = `
struct sample { __u32 n; __u16 port; char name[10]; };
const struct sample *const record_type __attribute__((unused));
const volatile __u32 extra = 0;
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 65536); } samples SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } raw SEC(".maps");
__u32 counter;
SEC("xdp") int filter(struct xdp_md *ctx)
{
	struct sample *s = bpf_ringbuf_reserve(&samples, sizeof(*s), 0);
	if (s) {
		__builtin_memset(s, 0, sizeof(*s));
		s->n = counter++;
		s->port = 7;
		s->name[0] = 'x';
		bpf_ringbuf_submit(s, 0);
	}
	__u64 *r = bpf_ringbuf_reserve(&raw, 8, 0);
	if (r) {
		*r = 0x11;
		bpf_ringbuf_submit(r, 0);
	}
	return XDP_PASS;
}
`;

const spec = (() => {
  let made: ReturnType<typeof readObjectSpec> | undefined;
  return () => {
    made ??= readObjectSpec(compileBpf(RECORDS), "records.bpf.o");
    return made;
  };
})();

const frame = Buffer.alloc(64);

async function take<T>(stream: AsyncIterable<T>, count: number): Promise<T[]> {
  const seen: T[] = [];
  for await (const one of stream) if (seen.push(one) === count) break;
  return seen;
}

describe("on real packets", () => {
  let pair: TestPair;
  let leave: () => void;
  beforeEach(() => {
    pair = new TestPair();
    leave = pair.left.enter();
  });
  afterEach(() => {
    leave();
    pair.close();
  });

  test("a program in TypeScript sees the guard's events, typed, and answers them", async () => {
    const guard = await BpfObject.load<Guard>(builtinPath("guard"), { variables: { event_mask: 0b11 } });
    const link = attach(guard.programs.guard, "eth0", { mode: "auto" });
    try {
      expect(link.mode).toBe("native");
      guard.maps.deny_v4.set({ addr: pair.rightAddress, prefixLen: 32 }, { prefixLen: 32 });
      expect(pair.right.ping(pair.leftAddress)).toBe(0);
      for await (const event of guard.events.events) {
        if (event.type !== "EVENT_DENY") continue;
        expect(event).toMatchObject({ src: pair.rightAddress, dst: pair.leftAddress, proto: 1, length: 98 });
        expect(typeof event.timeNs).toBe("bigint");
        guard.maps.deny_v4.delete({ addr: event.src, prefixLen: 32 });
        break;
      }
      expect(guard.events.events.lost).toBe(0);
      expect(pair.right.ping(pair.leftAddress)).toBe(1);
    } finally {
      link.close();
      guard.close();
    }
  });
});

test("records are decoded by the struct that is called like one of the map; without one they are bytes", async () => {
  const object = await BpfObject.load(spec());
  const { samples, raw } = object.events;
  object.programs.filter?.testRun(frame, { repeat: 3 });
  expect(await take(samples as AsyncIterable<Value>, 3)).toEqual([0, 1, 2].map((n) => ({ n, port: 7, name: "x" })));
  expect(await take(raw as AsyncIterable<Value>, 1)).toEqual([new Uint8Array([0x11, 0, 0, 0, 0, 0, 0, 0])]);
  object.close();
  const named = await BpfObject.load(spec(), { records: { samples: "sample", raw: "sample" } });
  named.programs.filter?.testRun(frame);
  // Eight bytes are no `struct sample`.
  expect(await take(named.events.raw as AsyncIterable<Value>, 1)).toEqual([expect.any(Uint8Array)]);
  named.close();
  await expect(BpfObject.load(spec(), { records: { samples: "smaple" } })).rejects.toMatchObject({
    code: "XDPCTL_E_NO_BTF",
  });
  await expect(BpfObject.load(spec(), { records: { filter: "sample" } })).rejects.toMatchObject({
    code: "XDPCTL_E_NO_MAP",
  });
});

test("a loop waits for what comes, goes on where it was left, and ends with the object", async () => {
  const object = await BpfObject.load(spec());
  const samples = object.events.samples as AsyncIterable<{ n: number }> & { queued: number };
  setTimeout(() => object.programs.filter?.testRun(frame, { repeat: 5 }), 30);
  expect(await take(samples, 2)).toMatchObject([{ n: 0 }, { n: 1 }]);
  object.programs.filter?.testRun(frame, { repeat: 2 });
  expect(await take(samples, 5)).toMatchObject([2, 3, 4, 5, 6].map((n) => ({ n })));
  setTimeout(() => object.close(), 30);
  expect(await take(samples, 1)).toEqual([]);
  expect(await take(samples, 1)).toEqual([]);
});

test("what its reader is too slow for is dropped at the queue's bound, and counted", async () => {
  const object = await BpfObject.load(spec(), { recordQueue: 100 });
  const samples = object.events.samples as AsyncIterable<{ n: number }> & { lost: number; queued: number };
  object.programs.filter?.testRun(frame);
  for await (const first of samples) {
    expect(first.n).toBe(0);
    object.programs.filter?.testRun(frame, { repeat: 1000 });
    // The reader is away for a while; the ring is emptied meanwhile.
    await new Promise((resolve) => setTimeout(resolve, 100));
    break;
  }
  expect(samples.queued).toBe(100);
  expect(samples.lost).toBe(900);
  expect(await take(samples, 100)).toMatchObject(Array.from({ length: 100 }, (_, i) => ({ n: i + 1 })));
  object.close();
});
