// SPDX-License-Identifier: MIT
import { readdirSync } from "node:fs";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type Frame, serveAll, Umem, type XskOptions, XskSocket } from "../../src/xsk/index.js";
import { TestPair } from "../fixtures/netns.js";

let pair: TestPair;
beforeAll(() => {
  pair = new TestPair();
});
afterEach(() => {
  for (const nic of XskSocket.all) nic.umem.close();
});
afterAll(() => pair.close());

const RINGS = { rings: { fill: 64, rx: 64, tx: 64, completion: 64 } };
const open = (umem: Umem, options: object = {}): XskSocket =>
  pair.right.run(() => XskSocket.open(umem, "eth0", { redirect: false, ...RINGS, ...options } as XskOptions));
const small = (): Umem => Umem.create({ frameCount: 256 });
const usage = expect.objectContaining({ code: "XDPCTL_E_USAGE" });

test.each([
  { queue: 1.5 },
  { queue: Number.NaN },
  { queue: -1 },
  { queue: 65_536 },
  { mode: "foo" },
  { copy: "foo" },
  { redirect: {} },
  { redirect: undefined, filter: null },
  { redirect: undefined, filter: "udp" },
  { redirect: undefined, filter: { foo: 1 } },
  { busyPoll: { budget: -1 } },
  { sendBudget: Number.NaN },
  { onTimestamp: () => {} },
])("%j is refused, and nothing is left", (options) => {
  const umem = small();
  expect(() => open(umem, options)).toThrow(usage);
  expect(umem.free).toBe(256);
  open(umem, {});
  umem.close();
});

test("counts, batches and handlers that are none", async () => {
  const umem = small();
  const nic = open(umem);
  for (const n of [Number.NaN, -1, 1.5, Number.POSITIVE_INFINITY]) {
    expect(() => nic.produce(n, () => {})).toThrow(usage);
    expect(() => nic.receive(n)).toThrow(usage);
  }
  for (const batch of [-1, 0, Number.NaN, 1.5]) await expect(nic.serve(() => {}, { batch })).rejects.toThrow(usage);
  await expect(nic.serve(() => {}, { yieldMs: 0 })).rejects.toThrow(usage);
  await expect(nic.serve(() => {}, { limit: 3 as never })).rejects.toThrow(usage);
  await expect(nic.serve(() => {}, { waits: "poll" } as never)).rejects.toThrow(usage);
  expect(() => nic.produce(1, (async () => {}) as never)).toThrow(usage);
  expect(() => Umem.create({ frames: 64 } as never)).toThrow(usage);
  expect(() => XskSocket.open(nic.umem, "eth0", { que: 3 } as never)).toThrow(usage);
  expect(() => XskSocket.open(nic.umem, "eth0", { rings: { txRing: 64 } } as never)).toThrow(usage);
  expect(() => XskSocket.open(nic.umem, undefined as never)).toThrow(usage);
  await expect(nic.serve(async () => {})).rejects.toThrow(usage);
  expect(nic.statistics).toMatchObject({ sent: 0, free: 192 });
  nic.close();
  expect(() => nic.writable(1)).toThrow("is closed");
  umem.close();
});

test("the second socket of a UMEM takes over what the first has, or is refused", () => {
  pair.left.must("ip", "link", "add", "far0", "type", "veth", "peer", "name", "far1", "netns", pair.right.name);
  pair.right.must("ip", "link", "set", "far1", "up");
  const umem = small();
  open(umem, { multiBuffer: true, needWakeup: false });
  const second = (options: XskOptions): XskSocket =>
    pair.right.run(() => XskSocket.open(umem, "far1", { redirect: false, ...RINGS, ...options }));
  for (const options of [{ copy: "zerocopy" }, { needWakeup: true }, { multiBuffer: false }] as XskOptions[])
    expect(() => second(options)).toThrow(usage);
  expect(second({}).engine).toMatchObject({ multiBuffer: true, needWakeup: false });
  umem.close();
  pair.left.must("ip", "link", "del", "far0");
});

test.each([
  [2048, false, 1344],
  [4096, false, 3392],
  [2048, true, 1344],
  [3000, true, 2296],
] as const)(
  "frames of %i bytes, unaligned %j: a headroom of %i bytes is the most",
  (frameSize, unaligned, headroom) => {
    const size = { frameSize, unaligned, frameCount: 256 };
    const umem = Umem.create({ ...size, headroom });
    open(umem).close();
    umem.close();
    expect(() => Umem.create({ ...size, headroom: headroom + 1 })).toThrow(
      expect.objectContaining({
        code: "XDPCTL_E_XSK_SIZE",
        remedy: `0 to ${headroom} bytes fit into frames of ${frameSize}`,
      }),
    );
  },
);

test("a handler that sends more than it received finds room, however small the TX ring", async () => {
  const umem = Umem.create({ frameCount: 1024, checked: true });
  const nic = open(umem, { redirect: undefined, rings: { ...RINGS.rings, rx: 512, fill: 512, tx: 64 } });
  const make = (frame: Frame): void => {
    frame.growTail(60);
    frame.send();
  };
  pair.left.must("ip", "neigh", "replace", pair.rightAddress, "lladdr", "02:00:00:00:00:02", "dev", "eth0");
  pair.left.must("bash", "-c", `for p in {1..300}; do echo hi > /dev/udp/${pair.rightAddress}/9; done`);
  let received = 0;
  let sent = 0;
  const served = nic.serve(
    (frame) => {
      received++;
      sent += nic.produce(1, make);
      frame.forward(nic);
    },
    { wait: "poll" },
  );
  await expect.poll(() => received).toBeGreaterThanOrEqual(300);
  nic.stop();
  await served;
  expect([sent, nic.statistics.forwarded, nic.statistics.txRingFull]).toEqual([received, received, 0]);
  umem.close();
});

const descriptors = (): number => readdirSync("/proc/self/fd").length;
const module = (code: string): string => `data:text/javascript,${encodeURIComponent(code)}`;
const all = (code: string, data?: unknown) =>
  pair.right.run(() => serveAll("eth0", module(code), { umem: { frameCount: 256 }, ...RINGS, data }));

test("serveAll with data that can't be copied leaves nothing", async () => {
  const before = descriptors();
  await expect(all("export default () => {}", () => {})).rejects.toThrow(usage);
  expect(descriptors()).toBe(before);
});

test.each(["setTimeout(() => { throw new Error('late') }, 100)", "setTimeout(() => process.exit(3), 100)"])(
  "a worker that ends by %s gives its queue back",
  async (end) => {
    const served = await all(`export default () => {}; export const start = () => void ${end};`);
    await expect(served.done).rejects.toThrow();
    const again = await all("export default () => {}");
    await again.stop();
  },
);

test("a worker that ends within a handler gives its queue back", async () => {
  const served = await all("export default () => process.exit(3)");
  pair.left.must("bash", "-c", `echo hi > /dev/udp/${pair.rightAddress}/9`);
  await expect(served.done).rejects.toThrow();
  const again = await all("export default () => {}");
  await again.stop();
});
