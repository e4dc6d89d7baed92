// SPDX-License-Identifier: MIT
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { XdpctlError } from "../../src/errors/index.js";
import { openRoute } from "../../src/netlink/index.js";
import { errno } from "../../src/linux/index.js";
import { failureOf } from "../../src/xsk/failure.js";
import { Packet, Umem, type UmemOptions, type XskOptions, XskSocket } from "../../src/xsk/index.js";
import { TestPair } from "../fixtures/netns.js";
import { Running, xdpctl } from "../fixtures/xdpctl.js";

let pair: TestPair;
beforeAll(() => {
  pair = new TestPair();
});
afterEach(() => {
  // What a test that failed left open would make the next one fail.
  for (const nic of XskSocket.all) nic.umem.close();
});
afterAll(() => pair.close());

const open = (umem: Umem, options: XskOptions = {}, name = "eth0"): XskSocket =>
  pair.right.run(() => XskSocket.open(umem, name, options));

function code(body: () => unknown): string {
  try {
    body();
  } catch (error) {
    if (XdpctlError.is(error)) return `${error.code}: ${error.message}`;
    throw error;
  }
  return "nothing was thrown";
}

/** Runs `body` with a UMEM and closes it after. */
function withUmem<T>(options: UmemOptions, body: (umem: Umem) => T): T {
  const umem = Umem.create(options);
  try {
    return body(umem);
  } finally {
    umem.close();
  }
}

const programs = (): string =>
  pair.right.run(() => {
    const route = openRoute();
    const mode = route.links().find(({ name }) => name === "eth0")?.xdp.mode ?? "";
    route.close();
    return mode;
  });

/** Swaps the MAC addresses. */
const reflect = ({ bytes, start }: { bytes: Uint8Array; start: number }): void => {
  for (let i = start; i < start + 6; i++) [bytes[i], bytes[i + 6]] = [bytes[i + 6] as number, bytes[i] as number];
};

describe.each(["loop", "poll", "spin"] as const)("serve, waiting by %s", (wait) => {
  test("frames come in and go back; timers run; nothing is left", async () => {
    const umem = Umem.create({ checked: true });
    const nic = open(umem, { mode: "native" });
    expect(nic.copy).toBe("copy");
    expect(programs()).toBe("native");
    let ticks = 0;
    const ticking = setInterval(() => ticks++, 20);
    const served = nic.serve(
      (frame) => {
        reflect(frame);
        frame.send();
      },
      { wait },
    );
    const ping = new Running(pair.left.argv("ping", "-c5", "-i0.05", "-W1", pair.rightAddress));
    await ping.ended();
    nic.stop();
    await served;
    clearInterval(ticking);
    const { received, sent, completed, sendWakeups } = nic.statistics;
    expect(received).toBeGreaterThanOrEqual(3);
    expect([sent, completed]).toEqual([received, received]);
    expect(sendWakeups).toBeGreaterThan(0);
    expect(Number(nic.redirected?.redirect.packets)).toBe(received);
    expect(ticks).toBeGreaterThan(5);
    nic.close();
    expect(umem.free).toBe(4096);
    umem.close();
    expect(programs()).toBe("none");
    expect(XskSocket.all).toEqual([]);
    expect(pair.left.ping(pair.rightAddress)).toBe(1);
  });
});

test("a filter takes what it names, the rest goes to the stack", async () => {
  const umem = Umem.create();
  const nic = open(umem, {
    filter: [
      { protocol: "udp", port: 9000 },
      { protocol: "icmpv6", to: "fd77:1::/64" },
    ],
  });
  const seen: number[] = [];
  const served = nic.serve((frame) => void seen.push(frame.bytes[frame.start + 12] as number));
  expect(pair.left.ping(pair.rightAddress)).toBe(1);
  for (const port of [9000, 9001]) pair.left.must("bash", "-c", `echo hi > /dev/udp/${pair.rightAddress}/${port}`);
  await expect.poll(() => seen.length).toBeGreaterThanOrEqual(1);
  nic.stop();
  await served;
  expect(seen.filter((byte) => byte === 0x08)).toHaveLength(1);
  umem.close();
});

describe("what is refused", () => {
  test("names, queues, sizes", () => {
    withUmem({}, (umem) => {
      expect(code(() => open(umem, {}, "eth9"))).toMatch("XDPCTL_E_NO_INTERFACE: there is no interface eth9");
      expect(code(() => open(umem, { queue: 40 }))).toMatch("XDPCTL_E_NO_QUEUE: eth0 has no queue 40");
      expect(code(() => open(umem, { rings: { rx: 100 } }))).toMatch("XDPCTL_E_XSK_SIZE: an rx ring of 100");
      expect(code(() => open(umem, { copy: "zerocopy" }))).toMatch("XDPCTL_E_ZERO_COPY");
      expect(code(() => open(umem, { filter: { port: 70_000 } }))).toMatch("XDPCTL_E_USAGE: 70000 is no port");
      expect(umem.free).toBe(4096);
    });
    expect(code(() => Umem.create({ frameSize: 1000 }))).toMatch("XDPCTL_E_XSK_SIZE: frames of 1000 bytes");
    expect(code(() => Umem.create({ frameCount: 2_000_000 }))).toMatch("XDPCTL_E_XSK_SIZE");
    expect(code(() => Umem.create({ headroom: 4000 }))).toMatch("XDPCTL_E_XSK_SIZE: a headroom of 4000");
    expect(programs()).toBe("none");
  });

  test("what types refuse, for callers without them", () => {
    withUmem({}, (umem) => {
      const wrong = [
        [{ mode: "foo" }, "mode"],
        [{ copy: "foo" }, "copy"],
        [{ filter: "udp" }, "is no rule"],
        [{ filter: { foo: 1 } }, "a rule has no foo"],
        [{ filter: null }, "null is no rule"],
        [{ redirect: {} }, "redirect"],
        [{ busyPoll: { budget: -1 } }, "-1 is no budget of a poll"],
        [{ onTimestamp: () => {} }, "no timestamps without TX metadata"],
      ] as const;
      for (const [options, what] of wrong) {
        const said = code(() => open(umem, options as never));
        expect(said).toMatch("XDPCTL_E_USAGE");
        expect(said).toMatch(what);
      }
      expect(umem.free).toBe(4096);
      expect(programs()).toBe("none");
    });
  });

  test("an asynchronous handler; room in a socket that is closed", async () => {
    const umem = Umem.create();
    const nic = open(umem);
    await expect(nic.serve(async () => {})).rejects.toMatchObject({ code: "XDPCTL_E_USAGE" });
    nic.close();
    expect(code(() => nic.writable(1))).toMatch("is closed");
    umem.close();
  });

  test("a second socket on a queue; it is free again after", () => {
    withUmem({}, (umem) => {
      const nic = open(umem);
      withUmem({}, (other) => expect(code(() => open(other))).toMatch("XDPCTL_E_QUEUE_BUSY: queue 0 of eth0"));
      nic.close();
      withUmem({}, (other) => expect(open(other).mode).toBe("native"));
    });
  });

  test("an interface that is down", () => {
    pair.right.must("ip", "link", "set", "eth0", "down");
    withUmem({}, (umem) => expect(code(() => open(umem))).toMatch("XDPCTL_E_INTERFACE_DOWN: eth0 is down"));
    pair.right.must("ip", "link", "set", "eth0", "up");
  });

  test("descriptors outside the UMEM: the kernel counts them, nothing is sent", () => {
    withUmem({}, (umem) => {
      const nic = open(umem);
      nic.engine.stage(umem.length + 4096, 64);
      nic.engine.flush();
      expect(nic.statistics.txInvalid).toBe(1);
    });
  });
});

describe.each(["loop", "poll"] as const)("the interface, waiting by %s", (wait) => {
  const change = (...argv: string[]): void => void pair.right.must("ip", "link", ...argv);

  test("set down: serve ends and says so", async () => {
    const umem = Umem.create();
    const nic = open(umem);
    const served = nic.serve(() => {}, { wait });
    setTimeout(() => change("set", "eth0", "down"), 50);
    await expect(served).rejects.toMatchObject({ code: "XDPCTL_E_INTERFACE_DOWN" });
    umem.close();
    change("set", "eth0", "up");
  });

  test("deleted: serve ends and says so", async () => {
    pair.left.must("ip", "link", "add", "gone0", "type", "veth", "peer", "name", "gone1", "netns", pair.right.name);
    for (const [namespace, name] of [
      [pair.left, "gone0"],
      [pair.right, "gone1"],
    ] as const)
      namespace.must("ip", "link", "set", name, "up");
    const umem = Umem.create();
    const nic = open(umem, {}, "gone1");
    const served = nic.serve(() => {}, { wait });
    setTimeout(() => change("del", "gone1"), 50);
    await expect(served).rejects.toMatchObject({ code: "XDPCTL_E_INTERFACE_GONE" });
    umem.close();
  });
});

test("a renamed interface is served on", async () => {
  pair.left.must("ip", "link", "add", "old0", "type", "veth", "peer", "name", "old1", "netns", pair.right.name);
  pair.left.must("ip", "link", "set", "old0", "up");
  pair.right.must("ip", "link", "set", "old1", "up");
  const umem = Umem.create();
  const nic = open(umem, {}, "old1");
  const served = nic.serve(() => {});
  await sleep(20);
  pair.right.must("ip", "link", "set", "old1", "name", "new1");
  await sleep(400);
  const down = pair.right.run(() => failureOf(errno.ENETDOWN, nic));
  expect(down).toMatchObject({ code: "XDPCTL_E_INTERFACE_DOWN", message: "new1 is down" });
  nic.stop();
  await served;
  umem.close();
  pair.left.must("ip", "link", "del", "old0");
});

test("a handler that throws ends serve with its error, and keeps no frame", async () => {
  const umem = Umem.create({ frameCount: 256, checked: true });
  const nic = open(umem, { rings: { fill: 64, rx: 64, tx: 64, completion: 64 } });
  const served = nic.serve(() => {
    throw new Error("mine");
  });
  const failed = expect(served).rejects.toThrow("mine");
  pair.left.exec(["ping", "-c1", "-W1", pair.rightAddress]);
  await failed;
  nic.engine.pay();
  expect(umem.free + 64).toBe(256);
  umem.close();
});

test("a handler may close the socket", async () => {
  const umem = Umem.create();
  const nic = open(umem);
  const served = nic.serve(() => nic.close());
  pair.left.exec(["ping", "-c1", "-W1", pair.rightAddress]);
  await served;
  expect([nic.closed, umem.free]).toEqual([true, 4096]);
  umem.close();
});

describe("packets", () => {
  const RINGS = { rings: { fill: 64, rx: 64, tx: 64, completion: 64 } };

  test("the pool counts: the fill ring's are gone, all that is allocated comes back", () => {
    withUmem({ frameCount: 1024, checked: true }, (umem) => {
      const nic = open(umem, RINGS);
      expect(umem.free).toBe(1024 - 64);
      const packets: Packet[] = [];
      for (let packet = Packet.alloc(umem); packet !== undefined; packet = Packet.alloc(umem)) packets.push(packet);
      expect(packets).toHaveLength(1024 - 64);
      for (const packet of packets) packet.free();
      expect(umem.free).toBe(1024 - 64);
      expect(code(() => packets[0]?.free())).toMatch("XDPCTL_E_FRAME");
      nic.close();
      expect(umem.free).toBe(1024);
    });
  });

  test("more than the TX ring takes: the rest stays, in order", async () => {
    const umem = Umem.create({ frameCount: 1024, checked: true });
    // Without need_wakeup nobody drives the ring in copy mode but us.
    const nic = open(umem, { ...RINGS, needWakeup: false });
    const packets = Array.from({ length: 100 }, (_, i) => {
      const packet = Packet.alloc(umem) as Packet;
      packet.replace(Uint8Array.from({ length: 60 }, () => i));
      return packet;
    });
    const sixtyFifth = packets[64];
    expect(nic.send(packets)).toBe(64);
    expect(packets).toHaveLength(36);
    expect(packets[0]).toBe(sixtyFifth);
    nic.writable(100);
    await sleep(10);
    while (packets.length > 0) {
      nic.writable(100);
      nic.send(packets);
    }
    nic.writable(10);
    await sleep(20);
    nic.receive(0);
    umem.close();
  });

  test("sizes: head, tail, resize, replace, and the texts of Packetvisor", () => {
    withUmem({ frameCount: 8, checked: true }, (umem) => {
      const packet = Packet.alloc(umem) as Packet;
      expect([packet.start - packet.first, packet.length, packet.bufferSize]).toEqual([256, 0, 2048]);
      packet.growTail(3);
      packet.data.set([1, 2, 3]);
      packet.resize(2000);
      expect([packet.start - packet.first, packet.length, [...packet.data.subarray(0, 3)]]).toEqual([
        0,
        2000,
        [1, 2, 3],
      ]);
      expect(() => packet.resize(2049)).toThrow("The requested size is too large. (Max = 2048)");
      expect(() => packet.replace(new Uint8Array(2049))).toThrow("Data size is over than buffer size of packet.");
      expect(() => packet.growHead(1)).toThrow("1 bytes of a frame that has 0 in front");
      packet.replace(Uint8Array.from({ length: 17 }, (_, i) => i));
      expect(packet.dump()).toBe(
        `---packet dump---\nchunk addr: ${packet.first}\n00 01 02 03 04 05 06 07  08 09 0A 0B 0C 0D 0E 0F \n10 \n-------\n`,
      );
      packet.free();
    });
  });
});

test("two sockets of two interfaces share a UMEM, and forward to each other", async () => {
  pair.left.must("ip", "link", "add", "far0", "type", "veth", "peer", "name", "far1", "netns", pair.right.name);
  pair.left.must("ip", "link", "set", "far0", "up");
  pair.right.must("ip", "link", "set", "far1", "up");
  const umem = Umem.create({ checked: true });
  const a = open(umem);
  const b = open(umem, {}, "far1");
  expect(umem.free).toBe(4096 - 2 * 2048);
  const served = [a.serve((frame) => frame.forward(b)), b.serve((frame) => frame.forward(a))];
  const seen = new Running(pair.left.argv("timeout", "3", "tcpdump", "-nli", "far0", "-c", "2", "arp"));
  await sleep(400);
  pair.left.exec(["ping", "-c1", "-W1", "10.77.1.99"]);
  expect((await seen.ended()).stdout).toContain("who-has 10.77.1.99");
  a.stop();
  b.stop();
  await Promise.all(served);
  expect(a.statistics.forwarded).toBeGreaterThan(0);
  expect(b.statistics.sent).toBe(a.statistics.forwarded);
  umem.close();
  pair.left.must("ip", "link", "del", "far0");
});

test.each([
  ["loop", false],
  ["poll", false],
  ["loop", true],
  ["poll", true],
] as const)("what goes one way only waits for nothing, by %s, multiBuffer %s", async (wait, multiBuffer) => {
  pair.left.must("ip", "link", "add", "far0", "type", "veth", "peer", "name", "far1", "netns", pair.right.name);
  pair.left.must("ip", "link", "set", "far0", "up");
  pair.right.must("ip", "link", "set", "far1", "up");
  // Free frames are many: nobody must take back what was sent to go on receiving.
  const umem = Umem.create({ frameCount: 8192, checked: true });
  const rings = { rings: { tx: 64, completion: 64 }, multiBuffer };
  const a = open(umem, rings);
  const b = open(umem, rings, "far1");
  const served = [a.serve((frame) => frame.forward(b), { wait }), b.serve(() => {}, { wait })];
  // Nobody else sends there, so b has no event of its own.
  await new Running(pair.left.argv("ping", "-q", "-c150", "-i0.002", "-W0.1", "-s100", "-b", "10.77.1.255")).ended();
  await expect.poll(() => a.statistics.forwarded).toBeGreaterThanOrEqual(150);
  await sleep(50);
  const { sent } = b.statistics;
  const gone = Number(pair.left.must("cat", "/proc/net/dev").match(/far0:\s*\d+\s+(\d+)/)?.[1]);
  a.stop();
  b.stop();
  await Promise.all(served);
  umem.close();
  pair.left.must("ip", "link", "del", "far0");
  expect(gone).toBeGreaterThanOrEqual(sent);
});

test("unaligned frames of 3000 bytes", async () => {
  const umem = Umem.create({ frameSize: 3000, frameCount: 1000, unaligned: true, checked: true });
  const nic = open(umem);
  const served = nic.serve((frame) => frame.send());
  await new Running(pair.left.argv("ping", "-c2", "-i0.1", "-W1", pair.rightAddress)).ended();
  nic.stop();
  await served;
  const { received, completed, txInvalid } = nic.statistics;
  expect([received > 0, completed, txInvalid]).toEqual([true, received, 0]);
  umem.close();
});

test("Ctrl-C ends a command with its figures, and the program is gone", async () => {
  const running = Running.xdpctl(pair.right, "xsk", "echo", "eth0", "--json");
  await expect.poll(programs, { timeout: 5000 }).toBe("native");
  running.signal("SIGINT");
  const { status, stdout } = await running.ended();
  expect(status).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ interface: "eth0", mode: "native", copy: "copy", last: true });
  expect(programs()).toBe("none");
  const killed = Running.xdpctl(pair.right, "xsk", "drop", "eth0");
  await expect.poll(programs, { timeout: 5000 }).toBe("native");
  killed.signal("SIGKILL");
  await killed.ended();
  await expect.poll(programs, { timeout: 5000 }).toBe("none");
  expect(xdpctl(pair.right, ["xsk", "drop", "nope"]).status).toBe(5);
});
