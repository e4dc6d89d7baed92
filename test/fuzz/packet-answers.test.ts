// SPDX-License-Identifier: MIT
import { describe, expect, test } from "vitest";
import {
  ArpView,
  checksumOf,
  clampMss,
  completeChecksum,
  DnsView,
  dnsName,
  EchoHost,
  EthernetView,
  FlowView,
  FrameView,
  Found,
  findCookie,
  findHttpHeader,
  findServerName,
  IcmpView,
  IPv4View,
  IPv6View,
  NdpView,
  NO_ROOM,
  replyDns,
  replyUdp,
  resetReceiver,
  resetSender,
  TcpView,
  TcpWordFilter,
  UdpView,
  View,
  WordChange,
} from "../../src/packet/index.js";
import { Garbage, SEEDS } from "../fixtures/garbage.js";
import { refusal } from "../fixtures/judge.js";
import { CLIENT_HELLO, DNS_QUERY_EDNS, HTTP_REQUEST } from "../fixtures/payloads.js";
import { Random } from "../fixtures/random.js";
import { faultOf, GuardedSpan } from "../fixtures/spans.js";
import { bytesOf, HOST } from "../fixtures/talk.js";

const FRAMES = 100_000;
/** The sum of a payload, and the options, which must all lie within. */
function payloadOf(view: View, start: number, end: number): number[] {
  const { bytes, payloadStart, payloadEnd } = view;
  if (payloadStart < start || payloadEnd < payloadStart || payloadEnd > end)
    expect.fail(`${view.constructor.name}: a payload from ${payloadStart} to ${payloadEnd} in ${start} to ${end}`);
  const read = [checksumOf(bytes, payloadStart, payloadEnd)];
  if (!(view instanceof NdpView || view instanceof TcpView)) return read;
  for (let kind = 0; kind < 9; kind++) {
    const at: number = view.optionAt(kind);
    read.push(at);
    if (at < 0 || (view instanceof TcpView && kind < 2)) continue;
    const length: number = (bytes[at + 1] as number) * (view instanceof NdpView ? 8 : 1);
    const last = view instanceof NdpView ? end : payloadStart;
    if (at < start || at + length > last)
      expect.fail(`${view.constructor.name}: an option from ${at} to ${at + length}`);
  }
  return read;
}

/**
 * Reads what a view has: all getters, down its prototypes. The bytes outside of the span are first of one kind, then of
 * another: what is read outside shows as a difference.
 */
function readings(view: View | FlowView | FrameView, bytes: Uint8Array, start: number, end: number): unknown[] | false {
  if (!view.at(bytes, start, end)) return false;
  const read: unknown[] = view instanceof View ? payloadOf(view, start, end) : [];
  if (view instanceof FrameView && view.transport !== 0) read.push(view.checksumState());
  for (let type: object = Object.getPrototypeOf(view); type !== Object.prototype; type = Object.getPrototypeOf(type))
    for (const [name, { get }] of Object.entries(Object.getOwnPropertyDescriptors(type)))
      if (get !== undefined && name !== "checksumAt") read.push(get.call(view));
  for (const value of Object.values(view)) if (typeof value === "number") read.push(value);
  return read;
}

test("100,000 frames: every view reads within its span, and writes nothing", () => {
  const garbage = new Garbage(52);
  const random = new Random(53);
  const views = [
    ...[new EthernetView(), new ArpView(), new IPv4View(), new IPv6View(), new IcmpView(), new NdpView()],
    ...[new UdpView(), new TcpView(), new DnsView(), new FlowView(), new FrameView()],
  ];
  let readable = 0;
  const one = new Uint8Array(4096).fill(0xa5);
  const two = new Uint8Array(4096).fill(0x5a);
  for (let i = 0; i < FRAMES; i++) {
    const frame = garbage.next();
    const at = 512;
    const end = at + frame.length;
    one.set(frame, at);
    two.set(frame, at);
    // From the frame's beginning, and from anywhere in it, as if the header were there.
    const start = at + Math.min(frame.length, random.pick([0, 14, 34, 42, 54, 62]));
    for (const view of views) {
      const first = readings(view, one, start, end);
      const second = readings(view, two, start, end);
      if (JSON.stringify(first) !== JSON.stringify(second)) {
        expect(second, `${view.constructor.name} of ${Buffer.from(frame).toString("hex")}`).toEqual(first);
      }
      if (first !== false) readable++;
    }
    for (let j = at; j < end; j++) {
      if (one[j] !== frame[j - at]) expect.fail(`byte ${j - at} of ${Buffer.from(frame).toString("hex")} was written`);
      one[j] = 0xa5;
      two[j] = 0x5a;
    }
  }
  expect(one.every((byte) => byte === 0xa5)).toBe(true);
  expect(readable).toBeGreaterThan(FRAMES);
});

describe("100,000 frames each: no answer to garbage, nothing outside touched", () => {
  const ANSWER = bytesOf("the answer");
  const host = new EchoHost({ mac: HOST.mac, addresses: [HOST.v4, HOST.v6] });
  const filter = new TcpWordFilter({ port: 80, word: "pineapple" });
  const change = new WordChange({ from: "apple", to: "watermelon" });
  const out = new GuardedSpan(256);
  type Act = (guarded: GuardedSpan) => Uint8Array | undefined;
  type Asked = (frame: Uint8Array) => string | undefined;
  /** What a checksum is completed of need not be for a host. */
  const any: Asked = () => undefined;
  const inPlace =
    (act: (span: GuardedSpan["span"]) => boolean): Act =>
    ({ span }) =>
      act(span) ? span.copy() : undefined;

  const acts: [string, Asked, Act][] = [
    ["echo", (frame) => refusal(frame, true), inPlace((span) => host.answer(span))],
    ["a reply", refusal, inPlace((span) => replyUdp(span, ANSWER))],
    ["a DNS answer", refusal, inPlace((span) => replyDns(span, 0xc0000201))],
    ["a reset for the receiver", refusal, inPlace((span) => resetReceiver(span, span))],
    ["a completed checksum", any, inPlace((span) => completeChecksum(span.bytes, span.start, span.end))],
    [
      "filter and a reset for the sender",
      refusal,
      ({ span }) => {
        const before = span.copy();
        const answered = filter.matches(span) && resetSender(span, out.load(new Uint8Array(0)));
        if (!out.guardsIntact || Buffer.compare(span.copy(), before) !== 0) expect.fail("the segment was touched");
        return answered ? out.span.copy() : undefined;
      },
    ],
  ];

  test.each(acts)("%s", (_, asked, act) => {
    const guarded = new GuardedSpan(3600);
    const garbage = new Garbage(54);
    for (let i = 0; i < FRAMES; i++) {
      const frame = garbage.next();
      const { start, end } = guarded.load(frame);
      const answer = act(guarded);
      const fault = answer === undefined ? undefined : (faultOf(answer) ?? asked(frame));
      if (fault !== undefined) expect.fail(`${fault} in what was answered: ${Buffer.from(frame).toString("hex")}`);
      if (answer !== undefined) expect(guarded.guardsIntact).toBe(true);
      else if (!guarded.intact(start, end) || Buffer.compare(guarded.span.copy(), frame) !== 0)
        expect.fail(`not answered, but changed: ${Buffer.from(frame).toString("hex")}`);
    }
    // Each of them has something to answer among its seeds.
    if (asked === any) return;
    const answers = SEEDS.filter((seed) => {
      guarded.load(seed);
      return act(guarded) !== undefined;
    });
    expect(answers.length).toBeGreaterThan(0);
  });

  test.each([
    ["a changed word", (span: GuardedSpan["span"]) => change.apply(span)],
    ["a clamped MSS", (span: GuardedSpan["span"]) => (clampMss(span, 1400) ? 1 : 0)],
  ])("%s keeps right what was right", (_, act) => {
    const guarded = new GuardedSpan(3600);
    const garbage = new Garbage(55);
    let changed = 0;
    for (let i = 0; i < FRAMES; i++) {
      const frame = garbage.next();
      const { start, end } = guarded.load(frame);
      const result = act(guarded.span);
      if (result === 0 || result === NO_ROOM) {
        if (!guarded.intact(start, end) || Buffer.compare(guarded.span.copy(), frame) !== 0)
          expect.fail(`changed, though it says not: ${Buffer.from(frame).toString("hex")}`);
        continue;
      }
      changed++;
      expect(guarded.guardsIntact).toBe(true);
      const before = faultOf(frame);
      const after = faultOf(guarded.span.copy());
      // What was left to the device is completed; every other fault stays as it was.
      if (before !== after && !(before === "transport checksum 2" && after === undefined))
        expect.fail(`${before} became ${after}: ${Buffer.from(frame).toString("hex")}`);
    }
    expect(changed).toBeGreaterThan(1000);
  });
});

test("100,000 payloads: what is found lies within", () => {
  const random = new Random(56);
  const found = new Found();
  const names = ["user-agent", "cookie"].map(bytesOf);
  const cookie = bytesOf("_xdpcookie");
  const dns = new DnsView();
  const name = dnsName("www.example.com");
  const large = new Uint8Array(1024).fill(0xa5);
  let finds = 0;
  for (let i = 0; i < FRAMES; i++) {
    const payload = random.pick([CLIENT_HELLO, HTTP_REQUEST, DNS_QUERY_EDNS]).slice();
    for (let n = random.between(0, 3); n > 0; n--)
      payload[random.between(0, payload.length - 1)] = random.pick([0, 1, 10, 13, 58, 59, 255, random.u32() & 255]);
    const end = 300 + random.between(random.oneIn(3) ? 0 : payload.length, payload.length);
    large.fill(0xa5, 300);
    large.set(payload.subarray(0, end - 300), 300);
    const within = (what: boolean): void => {
      if (!what) return;
      finds++;
      if (found.start < 300 || found.end > end || found.length < 0) expect.fail(`${found.start} to ${found.end}`);
    };
    within(findServerName(large, 300, end, found));
    for (const header of names) within(findHttpHeader(large, 300, end, header, found));
    within(findCookie(large, 300, end, cookie, found));
    if (dns.at(large, 300, end)) {
      found.start = dns.nameStart;
      found.end = dns.nameEnd;
      within(dns.nameIs(name) || dns.addressAt() < end);
    }
  }
  expect(finds).toBeGreaterThan(50_000);
});
