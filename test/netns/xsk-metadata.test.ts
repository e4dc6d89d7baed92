// SPDX-License-Identifier: MIT
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { CHECKSUM, FrameView, PERF, UdpTemplate } from "../../src/packet/index.js";
import { type Frame, Packet, Umem, type UmemOptions, type XskOptions, XskSocket } from "../../src/xsk/index.js";
import { TestPair } from "../fixtures/netns.js";
import { Running, xdpctlJson } from "../fixtures/xdpctl.js";

let pair: TestPair;
let template: UdpTemplate;
beforeAll(() => {
  pair = new TestPair({ net: 46, mtu: 4000 });
  const mac = (side: "left" | "right"): string =>
    (JSON.parse(pair[side].must("ip", "-j", "link", "show", "eth0")) as [{ address: string }])[0].address;
  const ends = { srcMac: mac("left"), dstMac: mac("right"), src: pair.leftAddress, dst: pair.rightAddress };
  template = new UdpTemplate({ ...ends, sport: 9, dport: 9000 }, 80);
});
afterEach(() => {
  for (const nic of XskSocket.all) nic.umem.close();
});
afterAll(() => pair.close());

const RINGS = { rx: 64, tx: 64, fill: 64, completion: 64 };
const FRAMES: UmemOptions = { frameCount: 128, checked: true };

const open = (side: "left" | "right", umem: UmemOptions, options: XskOptions = {}): XskSocket =>
  pair[side].run(() => XskSocket.open(Umem.create({ ...FRAMES, ...umem }), "eth0", { rings: RINGS, ...options }));

const sender = (txMetadata: UmemOptions["txMetadata"], options: XskOptions = {}): XskSocket =>
  open("left", txMetadata === undefined ? {} : { txMetadata }, { redirect: false, ...options });

/** A datagram whose checksum is wrong. */
function write(frame: Frame | Packet, number: number): void {
  frame.growTail(template.length);
  template.write(frame.bytes, frame.start, number, PERF.PING);
  frame.bytes[frame.end - 1] = 0xde;
}

const view = new FrameView();
/** Number and state of the checksum of each datagram that comes in. */
async function arrivals(nic: XskSocket, count: number): Promise<[number, number][]> {
  const found: [number, number][] = [];
  await expect
    .poll(() => {
      for (const packet of nic.receive(64)) {
        view.at(packet.bytes, packet.start, packet.end);
        found.push([packet.view.getUint32(packet.start + template.payloadAt), view.checksumState()]);
        packet.free();
      }
      return found.length;
    })
    .toBe(count);
  return found;
}

/** Waits until nothing is under way, nor a timestamp to be told. */
async function idle(nic: XskSocket): Promise<void> {
  await expect
    .poll(() => {
      nic.produce(0, () => {});
      return nic.statistics.sending;
    })
    .toBe(0);
}

test.each([
  ["left to the device", true, CHECKSUM.PARTIAL],
  ["made by the kernel", { softwareChecksum: true }, CHECKSUM.VALID],
] as const)("checksums %s: what asks gets one, what doesn't stays as it is", async (_, txMetadata, state) => {
  const to = open("right", {}, { filter: { protocol: "udp", port: 9000 } });
  const nic = sender(txMetadata);
  let n = 0;
  const sent = nic.produce(4, (frame) => {
    write(frame, n);
    if (n % 2 === 0) expect(frame.requestChecksum()).toBe(true);
    n++;
    frame.send();
  });
  expect(sent).toBe(4);
  expect(await arrivals(to, 4)).toEqual([
    [0, state],
    [1, CHECKSUM.WRONG],
    [2, state],
    [3, CHECKSUM.WRONG],
  ]);
  // As objects, and with numbers of one's own: where the sum begins, and where from there it is written.
  const packet = Packet.alloc(nic.umem) as Packet;
  write(packet, 4);
  packet.requestChecksum();
  packet.requestChecksum(34, 6);
  expect(nic.send([packet])).toBe(1);
  expect(await arrivals(to, 1)).toEqual([[4, state]]);
  await idle(nic);
  expect(nic.statistics).toMatchObject({ completed: 5, invalid: 0, txInvalid: 0, free: 64 });
});

test("the time at which each was sent, once, with its number", async () => {
  const told: [number, number, bigint][] = [];
  const nic = sender(true, { onTimestamp: ({ tag, time, nanoseconds }) => told.push([tag, time, nanoseconds]) });
  const before = performance.now();
  for (let batch = 0; batch < 20; batch++) {
    let n = 10 * batch;
    nic.produce(10, (frame) => {
      write(frame, n);
      if (n % 2 === 0) frame.requestTimestamp(n);
      n++;
      frame.send();
    });
    await idle(nic);
  }
  const after = performance.now();
  expect(told.map(([tag]) => tag)).toEqual(Array.from({ length: 100 }, (_, i) => 2 * i));
  const times = told.map(([, time]) => time);
  expect(times).toEqual(times.toSorted((a, b) => a - b));
  expect(times[0]).toBeGreaterThan(before);
  expect(times.at(-1)).toBeLessThan(after);
  const [first, last] = [told[0]?.[2] ?? 0n, told.at(-1)?.[2] ?? 0n];
  expect(Number(last - first) / 1e6).toBeCloseTo((times.at(-1) ?? 0) - (times[0] ?? 0), 2);
});

test("an echo that asks for both: serve tells the times, though nothing else comes in", async () => {
  const told: number[] = [];
  const nic = open(
    "right",
    { txMetadata: true },
    { filter: { protocol: "udp", port: 9000 }, onTimestamp: ({ tag }) => told.push(tag) },
  );
  const served = nic.serve((frame) => {
    frame.swapMacs();
    frame.requestChecksum();
    frame.requestTimestamp(frame.view.getUint32(frame.start + template.payloadAt));
    frame.send();
  });
  const from = sender(undefined);
  let n = 0;
  from.produce(20, (frame) => {
    write(frame, n++);
    frame.send();
  });
  await expect.poll(() => told.length).toBe(20);
  expect(told).toEqual(Array.from({ length: 20 }, (_, i) => i));
  nic.stop();
  await served;
  expect(nic.statistics).toMatchObject({ received: 20, sent: 20, completed: 20, dropped: 0, invalid: 0 });
});

test("what is forwarded: the times are those of the socket by which it leaves, which nobody serves", async () => {
  pair.right.must("ip", "link", "add", "eth1", "type", "veth", "peer", "name", "eth2");
  for (const name of ["eth1", "eth2"]) pair.right.must("ip", "link", "set", name, "up");
  const told: number[] = [];
  const nic = open("right", { txMetadata: true }, { filter: { protocol: "udp", port: 9000 } });
  const away = pair.right.run(() =>
    XskSocket.open(nic.umem, "eth1", { rings: RINGS, redirect: false, onTimestamp: ({ tag }) => told.push(tag) }),
  );
  const served = nic.serve((frame) => {
    expect(frame.requestChecksum()).toBe(true);
    frame.requestTimestamp(frame.view.getUint32(frame.start + template.payloadAt));
    frame.forward(away);
  });
  const from = sender(undefined);
  let n = 0;
  from.produce(20, (frame) => {
    write(frame, n++);
    frame.send();
  });
  await expect.poll(() => told.length).toBe(20);
  expect(told).toEqual(Array.from({ length: 20 }, (_, i) => i));
  // And the serving one sleeps again.
  const { waits } = nic.statistics;
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(nic.statistics.waits - waits).toBeLessThan(50);
  nic.stop();
  await served;
  expect(away.statistics).toMatchObject({ sent: 20, completed: 20, invalid: 0, sending: 0 });
  pair.right.must("ip", "link", "del", "eth1");
});

test("what is asked for is written inside of the frame alone, and what the kernel would stumble over is not sent", async () => {
  const to = open("right", {}, { filter: { protocol: "udp", port: 9000 } });
  for (const unaligned of [false, true]) {
    const nic = open(
      "left",
      { txMetadata: true, unaligned, ...(unaligned ? { frameSize: 3000 } : {}) },
      { redirect: false },
    );
    const { bytes, frameSize } = nic.umem;
    const [alien, own] = [Packet.alloc(nic.umem) as Packet, Packet.alloc(nic.umem) as Packet];
    // Neighbours in memory: whatever is written in front of the second would be the first one's.
    const [low, high] = alien.first < own.first ? [alien, own] : [own, alien];
    bytes.fill(0x55, low.first, low.first + frameSize - 24);
    high.growHead(high.start - high.first);
    expect(() => high.growHead(1)).toThrow("1 bytes of a frame that has 0 in front");
    write(high, 7);
    high.requestChecksum();
    expect(nic.send([high])).toBe(1);
    expect(await arrivals(to, 1)).toEqual([[7, CHECKSUM.PARTIAL]]);
    expect(bytes.subarray(low.first, low.first + frameSize - 24).every((byte) => byte === 0x55)).toBe(true);
    low.free();
    const packet = Packet.alloc(nic.umem) as Packet;
    write(packet, 8);
    for (const [start, offset] of [
      [template.length, 0],
      [0, template.length - 1],
      [65_535, 65_535],
      [-1, 0],
      [0.5, 0],
      [Number.NaN, 0],
    ] as const) {
      packet.requestChecksum(start, offset);
      expect(() => nic.send([packet]), `${start} ${offset}`).toThrow("a checksum was asked for outside of the packet");
      const made = nic.produce(1, (frame) => {
        write(frame, 9);
        frame.requestChecksum(start, offset);
        frame.send();
      });
      expect(made).toBe(0);
    }
    expect(nic.statistics.invalid).toBe(6);
    packet.requestChecksum();
    expect(nic.send([packet])).toBe(1);
    expect(await arrivals(to, 1)).toEqual([[8, CHECKSUM.PARTIAL]]);
    await idle(nic);
    expect(nic.statistics).toMatchObject({ free: 64, txInvalid: 0 });
    nic.umem.close();
  }
});

test("large packets: the first of their frames says what is asked for", async () => {
  const told: number[] = [];
  const nic = open(
    "right",
    { txMetadata: true },
    { multiBuffer: true, filter: { protocol: "udp" }, onTimestamp: ({ tag }) => told.push(tag) },
  );
  const served = nic.serve((frame) => {
    frame.swapMacs();
    frame.requestTimestamp(frame.fragments);
    frame.send();
  });
  pair.left.must("bash", "-c", `head -c 3500 /dev/zero > /dev/udp/${pair.rightAddress}/9`);
  await expect.poll(() => told).toEqual([2]);
  nic.stop();
  await served;
  expect(nic.statistics).toMatchObject({ received: 1, sent: 2, completed: 2, txInvalid: 0, invalid: 0 });
});

test("no object is allocated per packet", () => {
  let told = 0;
  const latest = new Float64Array(1);
  const nic = sender(true, {
    onTimestamp: ({ tag, time }) => {
      told = tag;
      latest[0] = time;
    },
  });
  let n = 0;
  const handler = (frame: Frame): void => {
    frame.growTail(template.length);
    template.write(frame.bytes, frame.start, n, PERF.PING);
    frame.requestChecksum();
    frame.requestTimestamp(n++);
    frame.send();
  };
  const PACKETS = 20_000;
  let least = Number.POSITIVE_INFINITY;
  // The first rounds are interpreted, for longer on a busy machine, and a collection may fall into any.
  for (let round = 0; round < 40 && least >= 16 * PACKETS; round++) {
    const before = process.memoryUsage().heapUsed;
    for (const end = n + PACKETS; n < end; ) nic.produce(32, handler);
    const bytes = process.memoryUsage().heapUsed - before;
    if (bytes >= 0) least = Math.min(least, bytes);
  }
  expect(least).toBeLessThan(16 * PACKETS);
  expect(told).toBeGreaterThan(n - 200);
  expect(latest[0]).toBeLessThan(performance.now());
});

test("what is refused: no metadata, no launch time, kernel's checksums in zero copy", () => {
  const nic = sender(undefined);
  for (const ask of [
    (frame: Frame) => frame.requestChecksum(),
    (frame: Frame) => frame.requestTimestamp(),
    (frame: Frame) => frame.requestLaunchTime(0n),
  ])
    expect(() => nic.produce(1, ask)).toThrow("the frames of this UMEM have no TX metadata");
  expect(nic.umem.free).toBe(64);
  const code = (body: () => unknown): unknown => {
    try {
      return body();
    } catch (error) {
      return (error as { code: string }).code;
    }
  };
  nic.umem.close();
  expect(code(() => sender({ launchTime: true }))).toBe("XDPCTL_E_NOT_SUPPORTED");
  expect(code(() => sender({ softwareChecksum: true }, { copy: "zerocopy" }))).toBe("XDPCTL_E_NOT_SUPPORTED");
  expect(code(() => sender(true).produce(1, (frame) => frame.requestLaunchTime(0n)))).toBe("XDPCTL_E_USAGE");
});

test("xsk send and latency: a kernel's UDP socket takes what the kernel has summed; times are shown", async () => {
  for (const checksum of ["kernel", "device"]) {
    const program = `const s = require("dgram").createSocket("udp6"); let n = 0;
      s.on("message", () => { if (++n === 50) { console.log("all"); s.close(); } }); s.bind(9001, () => console.log("bound"));
      setTimeout(() => process.exit(1), 10000).unref();`;
    const receiver = new Running(pair.right.argv(process.execPath, "-e", program));
    await receiver.sees("bound");
    const to = checksum === "kernel" ? `${pair.rightAddress}:9001` : `[${pair.rightAddress6}]:9001`;
    const result = xdpctlJson<{ timestamps: number; microseconds: { min: number; max: number } }>(pair.left, [
      ...["xsk", "send", "eth0", "--to", to, "--count", "50", "--rate", "5k"],
      ...["--checksum", checksum, "--timestamps"],
    ]);
    expect((await receiver.ended()).stdout).toContain("all");
    expect(result).toMatchObject({ sent: 50, completed: 50, timestamps: 50 });
    expect(result.microseconds.min).toBeGreaterThan(0);
    expect(result.microseconds.max).toBeLessThan(1e6);
  }
  const answering = Running.xdpctl(pair.right, "xsk", "latency", "eth0", "--listen", "9002");
  const measured = xdpctlJson<{ lost: number; microseconds: { p50: number }; transmitted: { p50: number } }>(
    pair.left,
    [
      ...["xsk", "latency", "eth0", "--to", `${pair.rightAddress}:9002`, "--count", "100", "--interval", "0"],
      "--timestamps",
    ],
  );
  expect(measured.lost).toBe(0);
  expect(measured.transmitted.p50).toBeGreaterThan(0);
  expect(measured.transmitted.p50).toBeLessThan(measured.microseconds.p50);
  answering.signal("SIGINT");
  await answering.ended();
});
