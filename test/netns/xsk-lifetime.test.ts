// SPDX-License-Identifier: MIT
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type Frame, Packet, sendPaced, Umem, type UmemOptions, XskSocket } from "../../src/xsk/index.js";
import { TestPair } from "../fixtures/netns.js";

/** Who has a frame, when sockets close and handlers do what they may not. */
let pair: TestPair;
beforeAll(() => {
  pair = new TestPair();
  pair.left.must("ip", "link", "add", "far0", "type", "veth", "peer", "name", "far1", "netns", pair.right.name);
  pair.left.must("ip", "link", "set", "far0", "up");
  pair.right.must("ip", "link", "set", "far1", "up");
});
afterEach(() => {
  for (const nic of XskSocket.all) nic.umem.close();
});
afterAll(() => pair.close());

const RINGS = { fill: 64, rx: 64, tx: 64, completion: 64 };
const open = (umem: Umem, name = "eth0"): XskSocket =>
  pair.right.run(() => XskSocket.open(umem, name, { rings: RINGS }));
const make = (frame: Frame): void => {
  frame.growTail(60);
  frame.bytes.fill(0xff, frame.start, frame.end);
  frame.send();
};
/** A frame comes in at the socket on eth0. */
const knock = (): void => void pair.left.exec(["ping", "-c1", "-W0.2", "-b", "10.77.1.255"]);

const KINDS: [string, UmemOptions][] = [
  ["checked", { checked: true }],
  ["production", { checked: false }],
  ["unaligned", { checked: true, unaligned: true, frameSize: 3000 }],
  ["TX metadata", { checked: true, txMetadata: true }],
];

describe.each(KINDS)("frames of a closed socket, %s", (_, kind) => {
  test("come back while others share the UMEM", async () => {
    const umem = Umem.create({ frameCount: 256, ...kind });
    const a = open(umem);
    let kept: Packet | undefined;
    for (let i = 0; i < 2; i++) {
      const b = open(umem, "far1");
      expect(b.produce(10, make)).toBe(10);
      const served = a.serve((frame) => {
        kept?.free();
        kept = frame.take();
        const copy = kept.data.slice();
        b.produce(1, (other) => {
          other.replace(copy);
          other.send();
        });
      });
      knock();
      await expect.poll(() => a.statistics.taken).toBeGreaterThan(i);
      a.stop();
      await served;
      b.receive(1)[0]?.free();
      b.close();
    }
    kept?.free();
    expect(umem.free + a.statistics.filling).toBe(256);
    a.close();
    expect(umem.free).toBe(256);
    umem.close();
  });

  test("that was closed in its own handler, or had frames forwarded to it", async () => {
    const umem = Umem.create({ frameCount: 256, ...kind });
    const a = open(umem);
    for (const closes of ["forward", "own"] as const) {
      const b = open(umem, "far1");
      const served = a.serve((frame) => {
        frame.forward(b);
        if (closes === "forward") b.close();
        else
          b.produce(3, (other) => {
            make(other);
            b.close();
          });
        a.stop();
      });
      knock();
      await served;
      expect(b.closed).toBe(true);
      a.receive(0);
      expect(umem.free + a.statistics.filling).toBe(256);
    }
    umem.close();
  });

  test("packets as objects stay in their frame", () => {
    const umem = Umem.create({ frameCount: 256, ...kind });
    const nic = open(umem);
    const good = Packet.alloc(umem) as Packet;
    good.resize(60);
    for (const [name, value] of [
      ["end", good.limit + 1],
      ["start", -5],
      ["start", good.first - 1],
      ["end", Number.NaN],
      ["end", good.end + 0.5],
    ] as const) {
      const bad = Packet.alloc(umem) as Packet;
      bad.resize(60);
      // TypeScript would not let it.
      Object.assign(bad, { [name]: value });
      const packets = [bad];
      expect(() => nic.send(packets)).toThrow(expect.objectContaining({ code: "XDPCTL_E_FRAME" }));
      expect(packets).toEqual([bad]);
      Object.assign(bad, { first: 0 });
      bad.free();
    }
    const packets = [good];
    expect(nic.send(packets)).toBe(1);
    nic.close();
    expect([nic.statistics.txInvalid, umem.free]).toEqual([0, 256]);
    umem.close();
  });

  test("taken frames are used up; handlers that take them twice are told", async () => {
    const umem = Umem.create({ frameCount: 256, ...kind });
    const nic = open(umem);
    const codes: unknown[] = [];
    const tries = (body: () => unknown): void => {
      try {
        body();
        codes.push("nothing");
      } catch (error) {
        codes.push((error as { code?: string }).code);
      }
    };
    let shown: Frame | undefined;
    const served = nic.serve((frame) => {
      // A batch may have more than the one that was sent for this.
      if (shown !== undefined) return;
      shown = frame;
      nic.stop();
      tries(() => nic.receive(1));
      const packet = frame.take();
      for (const body of [() => frame.take(), () => frame.send(), () => frame.forward(nic), () => frame.drop()])
        tries(body);
      packet.free();
    });
    knock();
    await served;
    tries(() => shown?.take());
    nic.produce(1, (frame) => tries(() => frame.take()));
    nic.produce(1, () => tries(() => nic.produce(1, make)));
    const [usage, frame] = ["XDPCTL_E_USAGE", "XDPCTL_E_FRAME"];
    expect(codes).toEqual([usage, frame, frame, frame, frame, frame, frame, usage]);
    nic.close();
    expect(umem.free).toBe(256);
    umem.close();
  });

  test("a handler of produce may close it", async () => {
    const umem = Umem.create({ frameCount: 256, ...kind });
    const nic = open(umem);
    let n = 0;
    const handler = (frame: Frame): void => {
      make(frame);
      if (++n === 3) nic.close();
    };
    const { sent } = await sendPaced(nic, handler, { count: 10 });
    expect([sent, nic.closed, umem.free]).toEqual([2, true, 256]);
    const again = open(umem);
    expect(again.produce(5, make)).toBe(5);
    umem.close();
  });
});

describe("two sockets of one thread, by poll", () => {
  test.each(["close", "stop"] as const)("what a handler does to the other (%s) holds at once", async (how) => {
    const umem = Umem.create({ frameCount: 256, checked: true });
    const [a, b] = [open(umem), open(umem, "far1")];
    knock();
    pair.left.exec(["ping", "-c1", "-W0.2", "ff02::1%far0"]);
    let shown = 0;
    const served = [
      a.serve(
        () => {
          b[how]();
          a.stop();
        },
        { wait: "poll" },
      ),
      b.serve(() => void shown++, { wait: "poll" }),
    ];
    await Promise.all(served);
    expect(shown).toBe(0);
    expect(umem.free + a.statistics.filling + b.statistics.filling).toBe(256);
    expect(b.closed).toBe(how === "close");
  });
});

test("a handler of produce that sends packets itself finds the slots taken that it is asked to fill", () => {
  const umem = Umem.create({ frameCount: 64, checked: true });
  const nic = pair.right.run(() => XskSocket.open(umem, "eth0", { rings: { ...RINGS, fill: 16, tx: 4 } }));
  const own = [Packet.alloc(umem) as Packet];
  own[0]?.replace(new Uint8Array(60).fill(0xff));
  const sent: number[] = [];
  const made = nic.produce(4, (frame) => {
    sent.push(nic.send(own));
    make(frame);
  });
  expect([made, sent]).toEqual([4, [0, 0, 0, 0]]);
  expect(nic.send(own)).toBe(1);
  expect(nic.statistics.sent).toBe(5);
  umem.close();
});

test("what the kernel drops is counted once", () => {
  const [umem, far] = [Umem.create({ frameCount: 64 }), Umem.create({ frameCount: 512 })];
  const nic = pair.right.run(() => XskSocket.open(umem, "eth0", { rings: { ...RINGS, fill: 16 } }));
  const sender = pair.left.run(() => XskSocket.open(far, "eth0", { redirect: false }));
  expect(sender.produce(100, make)).toBe(100);
  expect(nic.receive(100)).toHaveLength(16);
  const { rxDropped, rxRingFull, fillRingEmpty } = nic.statistics;
  expect({ rxDropped, rxRingFull, fillRingEmpty }).toEqual({ rxDropped: 0, rxRingFull: 0, fillRingEmpty: 84 });
});
