// SPDX-License-Identifier: MIT
import { spawnSync } from "node:child_process";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type Frame, Packet, Umem, type XskOptions, XskSocket } from "../../src/xsk/index.js";
import { TestPair } from "../fixtures/netns.js";
import { PublicRoot } from "../fixtures/public-root.js";
import { Running } from "../fixtures/xdpctl.js";

let pair: TestPair;
beforeAll(() => {
  pair = new TestPair();
  // What comes back swapped is for nobody: without this the client would ask for the address, and give up.
  pair.left.must("ip", "neigh", "replace", pair.rightAddress, "lladdr", "02:00:00:00:00:02", "dev", "eth0");
});
afterEach(() => {
  for (const nic of XskSocket.all) nic.umem.close();
});
afterAll(() => pair.close());

const RINGS = { rings: { fill: 64, rx: 64, tx: 512, completion: 512 } };
const open = (umem: Umem, options: XskOptions = {}): XskSocket =>
  pair.right.run(() => XskSocket.open(umem, "eth0", { ...RINGS, ...options }));

/** Packets that the other end's interface counts while `body` runs. */
async function arrived(body: () => unknown): Promise<number> {
  const count = (): number => Number(pair.left.must("cat", "/proc/net/dev").match(/eth0:\s*\d+\s+(\d+)/)?.[1]);
  const before = count();
  await body();
  return count() - before;
}

const make = (frame: Frame): void => {
  frame.growTail(60);
  frame.bytes.fill(0xff, frame.start, frame.start + 6);
  frame.bytes.fill(2, frame.start + 6, frame.end);
  frame.send();
};

describe.each([{ mode: "generic" }, { busyPoll: { microseconds: 50, budget: 16 } }] as XskOptions[])(
  "%j",
  (options) => {
    test("frames come in and go back", async () => {
      const umem = Umem.create({ frameCount: 512, checked: true });
      const nic = open(umem, options);
      expect(nic.mode).toBe(options.mode ?? "native");
      const served = nic.serve((frame) => void (frame.swapMacs() && frame.send()), { wait: "poll" });
      await new Running(pair.left.argv("ping", "-c3", "-i0.05", "-W1", pair.rightAddress)).ended();
      nic.stop();
      await served;
      const { received, completed } = nic.statistics;
      expect([received > 0, completed]).toEqual([true, received]);
      umem.close();
    });
  },
);

describe("produce", () => {
  test("sends n packets of the program's own making, the rest stays free", async () => {
    const umem = Umem.create({ frameCount: 512, checked: true });
    const nic = open(umem, { redirect: false, sendBudget: 32 });
    expect(await arrived(() => expect(nic.produce(100, make)).toBe(100))).toBe(100);
    expect(nic.statistics).toMatchObject({ sent: 100, sendWakeups: 4 });
    let left = 10;
    const some = (frame: Frame): void => (left-- > 0 ? make(frame) : undefined);
    expect(nic.produce(100, some)).toBe(10);
    expect(nic.produce(0, make)).toBe(0);
    const fails = (): never => {
      throw new Error("mine");
    };
    expect(() => nic.produce(1, fails)).toThrow("mine");
    nic.receive(0);
    expect(nic.statistics).toMatchObject({ completed: 110, free: 512 - 64, sending: 0 });
    umem.close();
  });

  test("a budget of 256 sends 100 packets by one call, where the kernel has it", () => {
    const umem = Umem.create({ frameCount: 512 });
    const nic = open(umem, { redirect: false });
    expect(nic.produce(100, make)).toBe(100);
    // XDP_MAX_TX_SKB_BUDGET came with Linux 6.17: 32 before.
    const [major = 0, minor = 0] = pair.left.must("uname", "-r").split(".").map(Number);
    expect(nic.statistics.sendWakeups).toBe(major * 100 + minor >= 617 ? 1 : 4);
    umem.close();
  });

  test("within a handler of serve, which may need its own slots of the TX ring", async () => {
    const umem = Umem.create({ frameCount: 512, checked: true });
    const nic = open(umem, { rings: { fill: 64, rx: 64, tx: 64, completion: 64 } });
    const served = nic.serve(
      (frame) => {
        nic.produce(64, make);
        if (frame.swapMacs()) frame.send();
      },
      { wait: "poll" },
    );
    await new Running(pair.left.argv("ping", "-c2", "-i0.05", "-W1", pair.rightAddress)).ended();
    nic.stop();
    await served;
    nic.receive(0);
    const { received, sent, completed, txInvalid } = nic.statistics;
    expect([completed, txInvalid]).toEqual([sent, 0]);
    expect(sent).toBeGreaterThan(received);
    umem.close();
  });
});

test("frames under 14 bytes: the kernel takes them and drops them, the frames come back", async () => {
  const umem = Umem.create({ frameCount: 512, checked: true });
  const nic = open(umem, { redirect: false });
  const short = Packet.alloc(umem) as Packet;
  short.replace(Uint8Array.of(1, 2, 3));
  expect(short.swapMacs()).toBe(false);
  const long = Packet.alloc(umem) as Packet;
  long.replace(new Uint8Array(60).fill(2));
  expect(await arrived(() => expect(nic.send([short, long])).toBe(2))).toBe(1);
  nic.receive(0);
  const { completed, sending, txInvalid } = nic.statistics;
  expect({ completed, sending, txInvalid }).toEqual({ completed: 2, sending: 0, txInvalid: 0 });
  umem.close();
});

test("two sockets of a thread, both by poll: neither waits for the other", async () => {
  pair.left.must("ip", "link", "add", "far0", "type", "veth", "peer", "name", "far1", "netns", pair.right.name);
  pair.left.must("ip", "link", "set", "far0", "up");
  pair.right.must("ip", "link", "set", "far1", "up");
  const umem = Umem.create({ frameCount: 1024, checked: true });
  const quiet = pair.right.run(() => XskSocket.open(umem, "far1", RINGS));
  const busy = open(umem);
  const waits = { wait: "poll", yieldMs: 400 } as const;
  const served = [
    quiet.serve(() => {}, waits),
    busy.serve((frame) => {
      if (frame.swapMacs()) frame.send();
    }, waits),
  ];
  const ping = new Running(pair.left.argv("ping", "-c4", "-i0.02", "-W1", pair.rightAddress));
  await expect.poll(() => busy.statistics.completed, { interval: 20 }).toBeGreaterThanOrEqual(4);
  await ping.ended();
  quiet.stop();
  busy.stop();
  await Promise.all(served);
  // Each waited up to 200 ms alone before.
  expect(busy.statistics.waits).toBe(quiet.statistics.waits);
  umem.close();
  pair.left.must("ip", "link", "del", "far0");
});

test("a UMEM beyond what an ordinary user may lock is refused with what to do", () => {
  // Capabilities of a process are not given back, so this is one of its own: it keeps CAP_NET_RAW alone.
  const open = new PublicRoot();
  const program = `
    import { Umem, XskSocket } from "${open.at("dist/xsk.js")}";
    const umem = Umem.create({ frameCount: 1024 });
    try {
      XskSocket.open(umem, "eth0", { redirect: false });
    } catch (error) {
      console.log(JSON.stringify(error));
    }
    console.log(umem.free);
    umem.close();`;
  const caps = [
    "setpriv",
    "--bounding-set=-all,+net_raw,+setpcap",
    "--inh-caps=-all,+net_raw",
    "--ambient-caps=+net_raw",
  ];
  const argv = ["prlimit", "--memlock=65536", ...caps, "--reuid=65534", "--clear-groups"];
  const [command, ...args] = pair.right.argv(...argv, process.execPath, "--input-type=module", "-e", program);
  const { stdout, stderr } = spawnSync(command, args, { encoding: "utf8" });
  open.close();
  const [error = "", free] = stdout.trim().split("\n");
  expect(stderr).toBe("");
  expect(JSON.parse(error)).toMatchObject({
    code: "XDPCTL_E_MEMLOCK",
    message: "1024 frames of 2048 bytes (2 MiB) are more than this user may lock",
    remedy: expect.stringContaining("--frames 512") as unknown,
  });
  expect(free).toBe("1024");
});
