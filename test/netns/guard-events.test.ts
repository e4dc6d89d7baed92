// SPDX-License-Identifier: MIT
import { expect, test } from "vitest";
import { type BpfMap, BpfObject, builtinPath, type LoadOptions, RingBuffer } from "../../src/bpf/index.js";
import { EVENT_OFFSET, EVENT_SIZE } from "../../src/events/index.js";
import {
  buildEthernet,
  buildIPv6Packet,
  buildTcp,
  ETHERTYPE,
  IP_PROTOCOL,
  parseAddress,
  TCP_FLAG,
} from "../../src/packet/index.js";
import { DROP, EVENT, PASS } from "../fixtures/guard-model.js";
import { isRoot, needs } from "../fixtures/needs.js";

const RING = 4 << 20;
const RECORD = EVENT_SIZE + 8;

const macs = { dst: "02:00:00:00:00:01", src: "02:00:00:00:00:02" };
const malformed = buildEthernet({ ...macs, etherType: ETHERTYPE.IPV4 }, new Uint8Array(10));

function syn(src: string, dport: number): Uint8Array {
  const addresses = { src: parseAddress(src).bytes, dst: parseAddress("2001:db8::1").bytes };
  const segment = buildTcp({ sport: 4000, dport, flags: TCP_FLAG.SYN }, addresses);
  const packet = buildIPv6Packet({ ...addresses, protocol: IP_PROTOCOL.TCP }, segment);
  return buildEthernet({ ...macs, etherType: ETHERTYPE.IPV6, vlans: [{ id: 7 }] }, packet);
}

async function load(options: LoadOptions = {}) {
  const guard = await BpfObject.load(builtinPath("guard"), { trusted: true, ...options });
  const program = guard.programs.guard;
  if (program === undefined) throw new Error("guard.bpf.o has no program guard");
  const ring = new RingBuffer(guard.maps.events as BpfMap);
  const types = (): number[] => {
    const seen: number[] = [];
    ring.consume((at) => seen.push(ring.view.getUint8(at + EVENT_OFFSET.type)));
    return seen;
  };
  const lost = (): bigint => {
    const counters = (guard.maps.lost as unknown as BpfMap<number, bigint[]>).get(0) ?? [];
    return counters.reduce((sum, one) => sum + one, 0n);
  };
  return {
    guard,
    program,
    ring,
    types,
    lost,
    [Symbol.dispose]() {
      ring.close();
      guard.close();
    },
  };
}

test("an event is one cache line with the rule's prefix, the VLAN and the flags", async (context) => {
  needs(context, isRoot, "root");
  using made = await load();
  (made.guard.maps.deny_v6 as BpfMap).set({ addr: "2001:db8:5::", prefixLen: 48 }, { prefixLen: 48 });
  const before = process.hrtime.bigint();
  expect(made.program.testRun(syn("2001:db8:5::9", 22)).retval).toBe(DROP);
  let seen = 0;
  const { view } = made.ring;
  made.ring.consume((at, length) => {
    seen++;
    expect(length).toBe(EVENT_SIZE);
    expect(view.getBigUint64(at + EVENT_OFFSET.timeNs, true)).toBeGreaterThanOrEqual(before);
    expect(view.getUint8(at + EVENT_OFFSET.type)).toBe(EVENT.deny);
    expect(view.getUint8(at + EVENT_OFFSET.prefixLen)).toBe(48);
    expect(view.getUint8(at + EVENT_OFFSET.tcpFlags)).toBe(TCP_FLAG.SYN);
    expect(view.getUint16(at + EVENT_OFFSET.vlan, true)).toBe(7);
    expect(view.getUint16(at + EVENT_OFFSET.dport)).toBe(22);
    expect(view.getUint16(at + EVENT_OFFSET.ethProto)).toBe(ETHERTYPE.IPV6);
  });
  expect(seen).toBe(1);
});

test("a flow is reported once", async (context) => {
  needs(context, isRoot, "root");
  using made = await load();
  for (let i = 0; i < 3; i++) expect(made.program.testRun(syn("2001:db8::9", 22)).retval).toBe(PASS);
  expect(made.types()).toEqual([EVENT.flow]);
  made.program.testRun(syn("2001:db8::9", 23));
  expect(made.types()).toEqual([EVENT.flow]);
});

test("event_mask chooses which events there are", async (context) => {
  needs(context, isRoot, "root");
  for (const type of [EVENT.flow, EVENT.malformed]) {
    using made = await load({ variables: { event_mask: 1 << (type - 1) } });
    made.program.testRun(syn("2001:db8::9", 22));
    made.program.testRun(malformed);
    expect(made.types()).toEqual([type]);
    expect(made.lost()).toBe(0n);
  }
});

test("events that do not fit are counted, every one", async (context) => {
  needs(context, isRoot, "root");
  using made = await load();
  const sent = Math.floor(RING / RECORD) + 1000;
  made.program.testRun(malformed, { repeat: sent });
  const fitted = made.types().length;
  // The ring keeps at least one byte free.
  expect(fitted).toBeGreaterThan(RING / RECORD - 3);
  expect(made.lost()).toBe(BigInt(sent - fitted));
  made.program.testRun(malformed);
  expect(made.types()).toEqual([EVENT.malformed]);
});

test("pass and drop count every frame with its bytes", async (context) => {
  needs(context, isRoot, "root");
  for (const [name, verdict] of [
    ["pass", PASS],
    ["drop", DROP],
  ] as const) {
    using object = await BpfObject.load(builtinPath(name), { trusted: true });
    const large = new Uint8Array(9000);
    expect(object.programs[name]?.testRun(malformed, { repeat: 10 }).retval).toBe(verdict);
    expect(object.programs[name]?.testRun(large).retval).toBe(verdict);
    const entries = [...(object.maps.stats as unknown as BpfMap<object, { packets: bigint; bytes: bigint }[]>)];
    expect(entries.map(([key]) => key)).toEqual([{ ifindex: 1, verdict, reason: 0, proto: 255 }]);
    const counters = entries[0]?.[1] ?? [];
    expect(counters.reduce((sum, c) => sum + c.packets, 0n)).toBe(11n);
    expect(counters.reduce((sum, c) => sum + c.bytes, 0n)).toBe(BigInt(10 * malformed.length + 9000));
  }
});
