// SPDX-License-Identifier: MIT
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { FrameView, TCP_FLAG } from "../../src/packet/index.js";
import { type Flooded, flood, keyOf } from "../fixtures/flood.js";
import { Garbage, PERF_SEEDS } from "../fixtures/garbage.js";
import { isRoot } from "../fixtures/needs.js";
import { type TestNamespace, TestPair } from "../fixtures/netns.js";
import { expectRight, faultOf } from "../fixtures/spans.js";
import { ASKER, HOST } from "../fixtures/talk.js";
import { listen, listenUdp, say } from "../fixtures/talkers.js";
import { TestWire } from "../fixtures/wire.js";
import { Running } from "../fixtures/xdpctl.js";
import { interrupt } from "../fixtures/xsk-programs.js";

const FRAMES = 100_000;
/** What a test prints when it fails, so that it can be run again. */
const SEED = 91;
const FOLDER = fileURLToPath(new URL("../../examples/xsk/", import.meta.url));
const POOL = fileURLToPath(new URL("../fixtures/xsk/pool.mjs", import.meta.url));

const running: Running[] = [];
const sockets: Socket[] = [];
const namespaces: TestNamespace[] = [];
/** A kernel that gets hostile frames asks for neighbours that aren't there; all namespaces share one table, which it fills. */
function forgetNeighbours(): void {
  for (const side of namespaces) side.exec(["ip", "neigh", "flush", "all", "nud", "all"]);
}

/** No frame is to be forwarded by a kernel. */
function dontForward(...sides: TestNamespace[]): void {
  namespaces.push(...sides);
  for (const side of sides)
    side.run(() => {
      for (const family of ["ipv4/ip_forward", "ipv6/conf/all/forwarding"])
        writeFileSync(`/proc/sys/net/${family}`, "0");
    });
}

afterEach(async () => {
  forgetNeighbours();
  for (const program of running.splice(0)) await program.close();
  for (const socket of sockets.splice(0)) socket.close();
});

interface Pool {
  frames: number;
  free: number;
  distinct: number;
  filling: number;
  sending: number;
  received: number;
  txInvalid: number;
}

/** `examples/xsk/NAME.mjs`, as it stands, but that it tells of its pool. */
async function start(at: TestNamespace, name: string, ...args: string[]): Promise<Running> {
  const program = new Running(at.argv(process.execPath, "--import", POOL, `${FOLDER}${name}.mjs`, ...args));
  running.push(program);
  return program;
}

/** It is at work once its program is on the interface. */
async function attached(at: TestNamespace, ...names: string[]): Promise<void> {
  for (const name of names)
    await expect.poll(() => at.must("ip", "link", "show", name), { timeout: 10_000 }).toContain("prog/xdp");
}

/** How many frames a program has received, as of its last word. */
const received = (program: Running): number => Number(/.*"received":(\d+)\}\n$/s.exec(program.stderr)?.[1] ?? 0);
const enough = (program: Running) => (): boolean => program.child.exitCode !== null || received(program) >= FRAMES;
const garbage = (options = {}): Garbage => new Garbage(SEED, { least: 14, most: 1554, ...options });

/** All frames are where they were at the start: free, or with the kernel to receive into; and none of them twice. */
function expectWhole(program: Running, fill: number, least = FRAMES): void {
  const line = program.stderr.split("\n").find((one) => one.startsWith('{"pool"'));
  const { pool } = JSON.parse(line ?? '{"pool":{}}') as { pool: Pool };
  expect(pool.received, `seed ${SEED}`).toBeGreaterThanOrEqual(least);
  const { frames, free, distinct, filling, sending, txInvalid } = pool;
  expect({ free, distinct, filling, sending, txInvalid }, `seed ${SEED}`).toEqual({
    ...{ free: frames - fill, distinct: frames - fill, filling: fill, sending: 0, txInvalid: 0 },
  });
}

/** All that came is what was sent, byte for byte, or whole and right. */
function expectSent(came: readonly Uint8Array[], { sent }: Flooded, allowed = (_: Uint8Array) => false): void {
  for (const frame of came)
    if (!sent.has(keyOf(frame)) && faultOf(frame) !== undefined && !allowed(frame))
      expect.fail(`seed ${SEED}: ${faultOf(frame)} in ${Buffer.from(frame).toString("hex")}`);
}

/** Nothing came back but what kernels say of their own: they look for routers and groups. */
function expectQuiet(back: readonly Uint8Array[]): void {
  for (const frame of back) expectRight(frame);
  expect(back.length, `seed ${SEED}`).toBeLessThan(50);
}

describe.skipIf(!isRoot)("100,000 hostile frames, and the program still does its work", () => {
  let pair: TestPair;
  beforeAll(() => {
    pair = new TestPair({ net: 62 });
    dontForward(pair.left, pair.right);
    for (const [side, one] of [
      [pair.right, HOST],
      [pair.left, ASKER],
    ] as const) {
      side.must("ip", "link", "set", "eth0", "address", one.mac);
      side.must("ip", "address", "add", `${one.v4}/24`, "dev", "eth0");
      side.must("ip", "address", "add", `${one.v6}/64`, "dev", "eth0", "nodad");
    }
  });
  afterAll(() => {
    namespaces.length = 0;
    pair?.close();
  });
  const place = () => ({ at: pair.left, name: "eth0" });

  test("echo", async () => {
    const program = await start(pair.right, "echo", "eth0");
    await attached(pair.right, "eth0");
    const { back } = await flood(place(), garbage(), enough(program), 8 * FRAMES);
    expect(back.length).toBeGreaterThan(1000);
    for (const frame of back) expectRight(frame);
    expect(pair.left.ping(HOST.v4, 2)).toBe(2);
    expect(pair.left.ping(HOST.v6, 2)).toBe(2);
    await interrupt(program);
    expectWhole(program, 2048);
  });

  test("drop", async () => {
    const program = await start(pair.right, "drop", "eth0");
    await attached(pair.right, "eth0");
    const { back } = await flood(place(), garbage(), enough(program), 8 * FRAMES);
    expectQuiet(back);
    expect(pair.left.ping(HOST.v4)).toBe(0);
    expect(await interrupt(program)).toMatch(/^[1-9]\d{5,} packets dropped$/m);
    expectWhole(program, 2048);
  });

  test("dump", async () => {
    const program = await start(pair.right, "dump", "eth0");
    await attached(pair.right, "eth0");
    await flood(place(), garbage(), enough(program), 8 * FRAMES);
    const from = program.stdout.length;
    pair.left.ping("10.77.62.2");
    await program.sees(/10\.77\.62\.1 → 10\.77\.62\.2 {2}icmp echo request|who has 10\.77\.62\.2/i, from);
    await interrupt(program);
    expectWhole(program, 2048);
  });

  test("throughput", async () => {
    const program = await start(pair.right, "throughput", "eth0", "9000", "60");
    await attached(pair.right, "eth0");
    await flood(place(), garbage({ seeds: PERF_SEEDS }), enough(program), 16 * FRAMES);
    await program.sees(": 0 pps", program.stdout.length);
    const from = program.stdout.length;
    pair.left.must("bash", "-c", `for i in {1..20}; do echo hello > /dev/udp/${HOST.v4}/9000; done`);
    await program.sees(/: 20 pps/, from);
    await interrupt(program);
    expectWhole(program, 2048);
  });

  test("latency, who answers", async () => {
    const program = await start(pair.right, "latency", "eth0", "9000");
    await attached(pair.right, "eth0");
    const { back } = await flood(place(), garbage({ seeds: PERF_SEEDS }), enough(program), 16 * FRAMES);
    // What is not to port 9000 is the kernel's to answer.
    const view = new FrameView();
    const answers = back.filter(
      (frame) => view.at(frame, 0, frame.length) && view.transport === 17 && view.udp.sport === 9000,
    );
    for (const frame of answers) expectRight(frame);
    expect(answers.length).toBeGreaterThan(1000);
    const asker = await start(pair.left, "latency", "eth0", "9000", HOST.v4, "100");
    expect((await asker.ended()).stdout).toMatch(/^100 of 100: /);
    await interrupt(program);
    expectWhole(program, 2048);
  });

  test("latency, who asks; and send", async () => {
    const home = pair.left.enter();
    const answering = createSocket("udp4");
    sockets.push(answering);
    answering.on("message", (data, { port, address }) => {
      data[4] = 1;
      answering.send(data, port, address);
    });
    answering.bind(9000, ASKER.v4);
    await once(answering, "listening");
    home();
    const deaf = { ...place(), deaf: true };
    const asker = await start(pair.right, "latency", "eth0", "9000", ASKER.v4, "30000");
    await attached(pair.right, "eth0");
    await flood(deaf, garbage({ seeds: PERF_SEEDS }), enough(asker), 16 * FRAMES);
    expect((await asker.ended()).stdout).toMatch(/^30000 of 30000: /);
    expectWhole(asker, 2048, FRAMES / 2);

    const sender = await start(pair.right, "send", "eth0", ASKER.v4, "9009", "20000", "30000");
    let n = 0;
    const done = (): boolean => sender.child.exitCode !== null && ++n > FRAMES / 128;
    await flood(deaf, garbage(), done, 8 * FRAMES);
    expect((await sender.ended()).stdout).toMatch(/^sent 30000 in /);
    expectWhole(sender, 2048, 0);
  });

  test("tunnel, from both sides", async () => {
    const program = await start(pair.right, "tunnel", "eth0", "127.0.0.1:4000", "127.0.0.1:4001");
    await attached(pair.right, "eth0");
    const home = pair.right.enter();
    const far = createSocket("udp4");
    sockets.push(far);
    far.bind(4001, "127.0.0.1");
    await once(far, "listening");
    home();
    const [came, went] = [[] as Uint8Array[], new Set<string>()];
    far.on("message", (data) => came.push(data));
    const datagrams = new Garbage(SEED + 1, { most: 9000 });
    let left = FRAMES;
    const beside = (): void => {
      for (let i = 0; i < 64 && left > 0; i++, left--) {
        const datagram = datagrams.next();
        went.add(keyOf(datagram));
        far.send(datagram.slice(), 4000, "127.0.0.1");
      }
    };
    const done = enough(program);
    const flooded = await flood(place(), garbage(), () => left === 0 && done(), 16 * FRAMES, beside);
    // A SYN's segment size is lowered, and its checksums stay as right or wrong as they were.
    expectSent(came, flooded, (frame) => /checksum/.test(faultOf(frame) ?? ""));
    // Nothing is made up, and nothing that can't be a frame comes out.
    expectQuiet(flooded.back.filter((frame) => !went.has(keyOf(frame))));
    expect(flooded.back.length).toBeGreaterThan(1000);
    came.length = 0;
    pair.left.exec(["ping", "-c1", "-W1", "10.77.62.99"]);
    await expect.poll(() => came.length).toBeGreaterThan(0);
    expect(await interrupt(program)).toMatch(/frames in, [1-9]\d* out/);
    expectWhole(program, 2048);
  });
});

describe.skipIf(!isRoot)("100,000 hostile frames between two interfaces", () => {
  let wire: TestWire;
  beforeAll(() => {
    wire = new TestWire();
    dontForward(wire.left, wire.middle, wire.right);
  });
  afterAll(() => {
    namespaces.length = 0;
    wire?.close();
  });

  async function between(name: string, ...args: string[]): Promise<{ program: Running; flooded: Flooded }> {
    const { left, middle, right } = wire;
    const program = await start(middle, name, "veth0", "veth2", ...args);
    await attached(middle, "veth0", "veth2");
    const sink = { at: right, name: "veth3" };
    const flooded = await flood({ at: left, name: "veth1", sink }, garbage(), enough(program), 8 * FRAMES);
    expect(flooded.beyond.length).toBeGreaterThan(FRAMES / 10);
    return { program, flooded };
  }

  test("forward", async () => {
    const { program, flooded } = await between("forward");
    expectSent(flooded.beyond, flooded);
    expectQuiet(flooded.back);
    expect(wire.left.ping("10.0.0.7", 2)).toBe(2);
    expect(wire.left.ping("2001:db8::7", 2)).toBe(2);
    await interrupt(program);
    expectWhole(program, 4096);
  });

  test("filter", async () => {
    const { program, flooded } = await between("filter", "pineapple");
    expectSent(flooded.beyond, flooded);
    const view = new FrameView();
    for (const frame of flooded.back) {
      expectRight(frame);
      expect(view.at(frame, 0, frame.length) && view.tcp.flags & TCP_FLAG.RST, `seed ${SEED}`).toBe(TCP_FLAG.RST);
    }
    expect(flooded.back.length).toBeGreaterThan(0);
    const server = new Running(wire.right.argv(...listen(80)));
    running.push(server);
    await server.sees("\n");
    expect(wire.left.must(...say("10.0.0.7", 80, "apple ", "a pineapple"))).toBe("ECONNRESET\n");
    expect(wire.left.must(...say("10.0.0.7", 80, "apple "))).toBe("FIN\n");
    await interrupt(program);
    expectWhole(program, 4096);
  });

  test("change-word", async () => {
    const { program, flooded } = await between("change-word", "apple", "watermelon");
    // What had a wrong checksum before has one after.
    const changed = (frame: Uint8Array): boolean =>
      /checksum/.test(faultOf(frame) ?? "") && keyOf(frame).includes("watermelon");
    expectSent(flooded.beyond, flooded, changed);
    expectQuiet(flooded.back);
    const server = new Running(wire.right.argv(...listenUdp(8080)));
    running.push(server);
    await server.sees("\n");
    wire.left.must("sh", "-c", "printf 'apple pie' | timeout 1 nc -u -q 0 10.0.0.7 8080");
    await server.sees('"watermelon pie"');
    await interrupt(program);
    expectWhole(program, 4096);
  });
});
