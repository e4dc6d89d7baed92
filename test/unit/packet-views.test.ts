// SPDX-License-Identifier: MIT
import { describe, expect, test } from "vitest";
import {
  buildEthernet,
  buildIPv4Packet,
  buildIPv6Packet,
  buildTcp,
  buildUdp,
  ETHERTYPE,
  EthernetView,
  FlowView,
  FrameView,
  fragmentHeader,
  IP_PROTOCOL,
  IPv4View,
  IPv6View,
  optionsHeader,
  parseAddress,
  parseEthernet,
  parseIcmp,
  parseIPv4Packet,
  parseIPv6Packet,
  parseTcp,
  parseUdp,
  TcpView,
  u32At,
} from "../../src/packet/index.js";
import { FrameGenerator } from "../fixtures/frames.js";
import { Random } from "../fixtures/random.js";

const macs = { dst: "02:00:00:00:00:01", src: "02:00:00:00:00:02" };
const v4 = { src: parseAddress("192.0.2.1").bytes, dst: parseAddress("198.51.100.2").bytes };
const v6 = { src: parseAddress("2001:db8::1").bytes, dst: parseAddress("2001:db8::2").bytes };

const AT = 300;
const large = new Uint8Array(16_384);

/** The frame in the middle of a large buffer, whose other bytes would be taken for more of it. */
function placed(frame: Uint8Array): [Uint8Array, number, number] {
  large.fill(0x45);
  large.set(frame, AT);
  return [large, AT, AT + frame.length];
}

/** What the codecs that allocate say of a frame, in the words of a FrameView. */
function byCodecs(frame: Uint8Array): Record<string, unknown> {
  const ethernet = parseEthernet(frame);
  if (ethernet === undefined || ethernet.vlans.length > 2) return {};
  const said: Record<string, unknown> = { etherType: ethernet.etherType, vlans: ethernet.vlans.map(({ id }) => id) };
  if (ethernet.etherType === ETHERTYPE.IPV4) {
    const ip = parseIPv4Packet(ethernet.payload);
    if (ip === undefined) return said;
    const { ttl, tos, id, protocol, checksumValid, fragmentOffset, moreFragments, dontFragment } = ip;
    Object.assign(said, { ttl, tos, id, protocol, checksumValid, fragmentOffset, moreFragments, dontFragment });
    said.addresses = [u32At(ip.src, 0), u32At(ip.dst, 0)];
    if (fragmentOffset === 0 && !moreFragments) Object.assign(said, transport(protocol, ip.payload, IP_PROTOCOL.ICMP));
  } else if (ethernet.etherType === ETHERTYPE.IPV6) {
    const ip = parseIPv6Packet(ethernet.payload);
    if (ip === undefined || ip.extensions.length > 8) return said;
    const { hopLimit, trafficClass, flowLabel, protocol, fragmentOffset, moreFragments } = ip;
    Object.assign(said, {
      hopLimit,
      trafficClass,
      flowLabel,
      protocol,
      moreFragments,
      extensions: ip.extensions.length,
    });
    said.fragmentOffset = fragmentOffset ?? 0;
    said.addresses = [...ip.src, ...ip.dst];
    if (fragmentOffset === undefined) Object.assign(said, transport(protocol, ip.payload, IP_PROTOCOL.ICMPV6));
  }
  return said;
}

function transport(protocol: number, bytes: Uint8Array, icmp: number): object {
  if (protocol === IP_PROTOCOL.TCP) {
    const { options: _, payload, ...tcp } = parseTcp(bytes) ?? { payload: undefined, options: undefined };
    return payload === undefined ? {} : { ...tcp, payload: [...payload] };
  }
  if (protocol === IP_PROTOCOL.UDP) {
    const udp = parseUdp(bytes);
    return udp === undefined ? {} : { ...udp, payload: [...udp.payload] };
  }
  const message = protocol === icmp ? parseIcmp(bytes) : undefined;
  if (message === undefined) return {};
  const { type, code, rest, checksum, payload } = message;
  return { type, code, rest, checksum, payload: [...payload] };
}

const view = new FrameView();

function byViews(frame: Uint8Array): Record<string, unknown> {
  const [bytes, start, end] = placed(frame);
  if (!view.at(bytes, start, end)) return {};
  const { ethernet, ipv4, ipv6, tcp, udp, icmp } = view;
  if (ethernet.etherType === ETHERTYPE.VLAN || ethernet.etherType === ETHERTYPE.QINQ) return {};
  const vlans = Array.from({ length: ethernet.tags }, (_, i) => ethernet.vlanId(i));
  const said: Record<string, unknown> = { etherType: ethernet.etherType, vlans };
  if (view.network === ETHERTYPE.IPV4) {
    const { ttl, tos, id, protocol, checksumValid, fragmentOffset, moreFragments, dontFragment, src, dst } = ipv4;
    Object.assign(said, { ttl, tos, id, protocol, checksumValid, fragmentOffset, moreFragments, dontFragment });
    said.addresses = [src, dst];
  } else if (view.network === ETHERTYPE.IPV6) {
    const { hopLimit, trafficClass, flowLabel, protocol, fragmentOffset, moreFragments, extensions } = ipv6;
    Object.assign(said, { hopLimit, trafficClass, flowLabel, protocol, fragmentOffset, moreFragments, extensions });
    said.addresses = [...bytes.slice(ipv6.srcAt, ipv6.srcAt + 32)];
  }
  const payload = (of: { payloadStart: number; payloadEnd: number }): number[] => [
    ...bytes.slice(of.payloadStart, of.payloadEnd),
  ];
  if (view.transport === IP_PROTOCOL.TCP) {
    const { sport, dport, sequence, acknowledgment, flags, window, checksum, urgent } = tcp;
    Object.assign(said, { sport, dport, sequence, acknowledgment, flags, window, checksum, urgent });
    said.payload = payload(tcp);
  } else if (view.transport === IP_PROTOCOL.UDP) {
    const { sport, dport, checksum } = udp;
    Object.assign(said, { sport, dport, checksum, payload: payload(udp) });
  } else if (view.transport !== 0) {
    const { type, code, rest, checksum } = icmp;
    Object.assign(said, { type, code, rest, checksum, payload: payload(icmp) });
  }
  return said;
}

test("views and codecs say the same of 20,000 frames, good and bad", () => {
  const frames = new FrameGenerator(new Random(41));
  let transports = 0;
  for (let i = 0; i < 20_000; i++) {
    const frame = frames.next();
    const said = byViews(frame);
    expect(said, Buffer.from(frame).toString("hex")).toEqual(byCodecs(frame));
    if ("payload" in said) transports++;
  }
  expect(transports).toBeGreaterThan(8000);
});

describe("a span that is none is refused", () => {
  const frame = buildEthernet(
    { ...macs, etherType: ETHERTYPE.IPV4 },
    buildIPv4Packet({ ...v4, protocol: 17 }, new Uint8Array(8)),
  );
  test.each([
    [-1, 40],
    [10, 5],
    [0, frame.length + 1],
    [Number.NaN, 40],
    [frame.length, frame.length],
  ])("%d to %d", (start, end) => {
    expect(new EthernetView().at(frame, start, end)).toBe(false);
    expect(new IPv4View().at(frame, start + 14, end)).toBe(false);
  });
});

test("what is set is read, and lands where the codecs look for it", () => {
  const options = Uint8Array.of(1, 1, 2, 4, 0x05, 0xb4, 4, 2);
  const segment = buildTcp({ sport: 1, dport: 2, flags: 0x10, options }, v4, Uint8Array.of(7));
  const packet = buildIPv4Packet({ ...v4, protocol: 6 }, segment);
  const frame = buildEthernet(
    { ...macs, etherType: ETHERTYPE.IPV4, vlans: [{ id: 5, priority: 3 }, { id: 6 }] },
    packet,
  );
  expect(view.at(frame, 0, frame.length)).toBe(true);
  const { ethernet, ipv4, tcp } = view;
  expect([ethernet.tpid(0), ethernet.tpid(1), ethernet.vlanPriority(0)]).toEqual([0x88a8, 0x8100, 3]);
  ethernet.setVlanId(1, 4095);
  ethernet.swapMacs();
  ipv4.tos = 0xb8;
  ipv4.id = 0xfedc;
  ipv4.fragmentWord = 0x4000;
  ipv4.ttl = 9;
  ipv4.src = 0xc0a80101;
  ipv4.dst = 0xffffffff;
  ipv4.fillChecksum();
  tcp.sport = 65535;
  tcp.dport = 256;
  tcp.sequence = 0xfffffffe;
  tcp.acknowledgment = 0x80000001;
  tcp.flags = 0x3f;
  tcp.window = 0xabcd;
  tcp.urgent = 0x1234;
  expect(tcp.mss).toBe(1460);
  expect(tcp.setMss(1200)).toBe(true);
  view.fillChecksum();
  const parsed = parseEthernet(frame);
  expect(parsed?.vlans.map(({ id }) => id)).toEqual([5, 4095]);
  expect(parsed?.dst[5]).toBe(2);
  const ip = parseIPv4Packet(parsed?.payload ?? frame);
  expect(ip).toMatchObject({ tos: 0xb8, id: 0xfedc, ttl: 9, dontFragment: true, checksumValid: true });
  expect(ip && [u32At(ip.src, 0), u32At(ip.dst, 0)]).toEqual([0xc0a80101, 0xffffffff]);
  expect(ip && parseTcp(ip.payload)).toMatchObject({
    ...{ sport: 65535, dport: 256, sequence: 0xfffffffe, acknowledgment: 0x80000001, flags: 0x3f, window: 0xabcd },
    options: Uint8Array.of(1, 1, 2, 4, 0x04, 0xb0, 4, 2),
    urgent: 0x1234,
  });
});

describe("IPv6 extension headers", () => {
  const at = (extensions: Parameters<typeof buildIPv6Packet>[0]["extensions"], protocol = 17): IPv6View | undefined => {
    const bytes = buildIPv6Packet({ ...v6, protocol, extensions: extensions ?? [] }, new Uint8Array(8));
    const ip = new IPv6View();
    return ip.at(bytes, 0, bytes.length) ? ip : undefined;
  };

  test("are walked up to eight", () => {
    const many = (n: number) => Array.from({ length: n }, () => optionsHeader(IP_PROTOCOL.DESTINATION));
    expect(at(many(8))).toMatchObject({ protocol: 17, extensions: 8, payloadStart: 104 });
    expect(at(many(9))).toBeUndefined();
  });

  test("tell of fragments and of routes that go on", () => {
    expect(at([fragmentHeader(0, false, 1)])).toMatchObject({ isFragment: true, protocol: 17, routed: false });
    expect(at([fragmentHeader(1480, true, 1)])).toMatchObject({ fragmentOffset: 1480, moreFragments: true });
    const route = { type: IP_PROTOCOL.ROUTING, bytes: Uint8Array.of(0, 0, 4, 1, 0, 0, 0, 0) };
    expect(at([route])).toMatchObject({ routed: true, protocol: 17 });
    // The same view, pointed at a plain packet, has forgotten it.
    const ip = new IPv6View();
    const bytes = buildIPv6Packet({ ...v6, protocol: 17 }, new Uint8Array(8));
    expect(ip.at(bytes, 0, bytes.length) && [ip.routed, ip.isFragment, ip.extensions]).toEqual([false, false, 0]);
  });
});

describe("TCP options", () => {
  const mss = (...options: number[]): number => {
    const bytes = buildTcp({ sport: 1, dport: 2, flags: 2, options: Uint8Array.from(options) }, v4);
    const tcp = new TcpView();
    return tcp.at(bytes, 0, bytes.length) ? tcp.mss : -1;
  };
  test.each([
    [[2, 4, 5, 180], 1460],
    [[1, 2, 4, 5, 180], 1460],
    [[8, 10, 0, 0, 0, 0, 0, 0, 0, 0, 2, 4, 5, 180], 1460],
    [[0, 2, 4, 5, 180], 0],
    [[2, 3, 5, 180], 0],
    [[8, 0, 2, 4, 5, 180], 0],
    [[8, 1, 2, 4, 5, 180], 0],
    [[3, 40, 2, 4, 5, 180], 0],
    [[1, 1, 1, 2], 0],
    [[], 0],
  ])("%j offer %d", (options, offered) => {
    expect(mss(...options)).toBe(offered);
  });
});

describe("a flow", () => {
  const frameOf = (family: 4 | 6, back: boolean, sport = 4242, dport = 53): Uint8Array => {
    const addresses = family === 4 ? v4 : v6;
    const ends = back ? { src: addresses.dst, dst: addresses.src } : addresses;
    const udp = buildUdp(back ? { sport: dport, dport: sport } : { sport, dport }, ends);
    const etherType = family === 4 ? ETHERTYPE.IPV4 : ETHERTYPE.IPV6;
    const packet = (family === 4 ? buildIPv4Packet : buildIPv6Packet)({ ...ends, protocol: 17 }, udp);
    return buildEthernet({ ...macs, etherType }, packet);
  };
  const flowOf = (frame: Uint8Array): FlowView => {
    const flow = new FlowView();
    expect(flow.at(frame, 0, frame.length)).toBe(true);
    return flow;
  };

  test.each([4, 6] as const)("of IPv%d is equal to itself, and symmetric with its way back", (family) => {
    const [there, back] = [flowOf(frameOf(family, false)), flowOf(frameOf(family, true))];
    expect(there).toMatchObject({ family, protocol: 17, sport: 4242, dport: 53 });
    expect(there.equals(back)).toBe(false);
    expect(there.hash()).not.toBe(back.hash());
    expect(there.symmetricHash()).toBe(back.symmetricHash());
    const kept = new FlowView();
    kept.copyFrom(there);
    expect(kept.equals(there) && kept.hash(7) === there.hash(7)).toBe(true);
  });

  test("hashes spread over buckets", () => {
    const buckets = [new Uint32Array(64), new Uint32Array(64)];
    for (let port = 0; port < 6400; port++) {
      const flow = flowOf(frameOf(4, false, 1000 + port));
      buckets[0]![flow.hash(1) & 63]!++;
      buckets[1]![flow.symmetricHash(1) & 63]!++;
    }
    for (const counts of buckets) {
      expect(Math.max(...counts)).toBeLessThan(150);
      expect(Math.min(...counts)).toBeGreaterThan(50);
    }
  });
});
