// SPDX-License-Identifier: MIT
import { afterEach, describe, expect, test } from "vitest";
import { ETHERTYPE, FrameView, formatMac, TCP_FLAG } from "../../src/packet/index.js";
import { Umem, XskSocket } from "../../src/xsk/index.js";
import { FrameGenerator } from "../fixtures/frames.js";
import { isRoot } from "../fixtures/needs.js";
import { type TestNamespace, TestPair } from "../fixtures/netns.js";
import { Random } from "../fixtures/random.js";
import { expectRight } from "../fixtures/spans.js";
import { ASKER, arpFrame, HOST, pingFrame, solicitationFrame, tcpFrame, udpFrame } from "../fixtures/talk.js";
import { TestWire } from "../fixtures/wire.js";
import { Running } from "../fixtures/xdpctl.js";

const FRAMES = 100_000;
const flags = TCP_FLAG.ACK | TCP_FLAG.PSH;
/** What the programs act on, so that a mutated one is near to it. */
const SEEDS = [
  arpFrame(),
  solicitationFrame(),
  ...([4, 6] as const).flatMap((family) => [
    pingFrame(family, "ping"),
    udpFrame(family, { sport: 4242, dport: 7 }, "hello"),
    udpFrame(family, { sport: 4242, dport: 8080 }, "apple pie, apple"),
    tcpFrame(family, { sport: 4242, dport: 80, flags }, "a pineapple"),
    tcpFrame(family, { sport: 4242, dport: 80, flags: TCP_FLAG.SYN, options: Uint8Array.of(2, 4, 5, 180) }),
  ]),
];

/** Random bytes, generated frames of other hosts, and seeds with bytes set, cut off, or put behind. */
class Garbage {
  readonly #random = new Random(20_261_122);
  readonly #frames = new FrameGenerator(this.#random);

  /** Writes the next one at an offset, and returns its length: 14 to 1514 bytes. */
  write(into: Uint8Array, at: number): number {
    const random = this.#random;
    const kind = random.between(0, 3);
    if (kind === 0) {
      const length = random.between(14, random.oneIn(10) ? 1514 : 128);
      for (let i = 0; i < length; i++) into[at + i] = random.u32() & 255;
      return length;
    }
    const frame = kind === 1 ? this.#frames.next() : random.pick(SEEDS);
    const length = Math.min(frame.length, 1514);
    into.set(frame.subarray(0, length), at);
    if (kind === 1) return length;
    for (let n = random.between(0, 4); n > 0; n--) into[at + random.between(12, length - 1)] = random.u32() & 255;
    return random.oneIn(4) ? random.between(14, length + 40) : length;
  }
}

const view = new FrameView();

/** An answer of the echo: whole, right, from its own MAC, to the asker's. */
function expectAnswer(frame: Uint8Array): void {
  expectRight(frame);
  expect(view.at(frame, 0, frame.length)).toBe(true);
  expect(view.network).not.toBe(0);
  expect(formatMac(frame.subarray(6, 12))).toBe(HOST.mac);
  if (view.network === ETHERTYPE.ARP) expect(view.arp.operation).toBe(2);
}

const running: Running[] = [];
afterEach(async () => {
  for (const program of running.splice(0)) await program.close();
});

/** Sends garbage out of an interface until the program has had its fill. What came back. */
async function flood(at: TestNamespace, name: string, program: Running): Promise<Uint8Array[]> {
  const home = at.enter();
  const umem = Umem.create({ checked: false });
  const back: Uint8Array[] = [];
  try {
    const nic = XskSocket.open(umem, name);
    const garbage = new Garbage();
    const fill = (frame: Parameters<Parameters<XskSocket["produce"]>[1]>[0]): void => {
      frame.growTail(garbage.write(frame.bytes, frame.start));
      frame.send();
    };
    for (let sent = 0; program.child.exitCode === null && sent < 4 * FRAMES; ) {
      sent += nic.produce(128, fill);
      for (const packet of nic.receive(256)) {
        back.push(packet.data.slice());
        packet.free();
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    return back;
  } finally {
    umem.close();
    home();
  }
}

interface Last {
  received: number;
  free: number;
  filling: number;
  sending: number;
  answered?: number;
}

/** Starts `xdpctl xsk …` for so many frames, floods it, and returns its last numbers, by interface. */
async function survive(
  place: { at: TestNamespace; sender: TestNamespace; name: string },
  ...args: string[]
): Promise<{ last: Last[]; back: Uint8Array[] }> {
  const program = Running.xdpctl(place.at, "xsk", ...args, "--count", `${FRAMES}`, "--json", "--stats", "50ms");
  running.push(program);
  await program.sees("\n");
  const back = await flood(place.sender, place.name, program);
  const { status, stdout, stderr } = await program.ended();
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  const lines = stdout.trim().split("\n");
  return { last: lines.filter((line) => line.includes('"last":true')).map((line) => JSON.parse(line) as Last), back };
}

/** Every frame is where it was at the start: half of them free, half with the kernel to receive into. */
function expectWhole(last: readonly Last[], frames: number): void {
  expect(last.reduce((sum, { received }) => sum + received, 0)).toBeGreaterThanOrEqual(FRAMES);
  for (const { free, filling, sending } of last)
    expect({ free, filling, sending }).toEqual({ free: frames / 2, filling: frames / 2 / last.length, sending: 0 });
}

describe.skipIf(!isRoot)("100,000 random and mutated frames", () => {
  test("echo answers the right ones only; drop and tunnel take them", async () => {
    using pair = new TestPair({ net: 62 });
    const { left, right } = pair;
    right.must("ip", "link", "set", "eth0", "address", HOST.mac);
    left.must("ip", "link", "set", "eth0", "address", ASKER.mac);
    const place = { at: right, sender: left, name: "eth0" };
    const echo = await survive(place, "echo", "eth0", "--address", HOST.v4, "--address", HOST.v6);
    expectWhole(echo.last, 4096);
    expect(echo.back.length).toBeGreaterThan(100);
    for (const frame of echo.back) expectAnswer(frame);
    expectWhole((await survive(place, "drop", "eth0")).last, 4096);
    const tunnel = ["tunnel", "eth0", "--local", "127.0.0.1:4000", "--remote", "127.0.0.1:4001"];
    expectWhole((await survive(place, ...tunnel)).last, 4096);
  });

  test("forward, filter and change-word", async () => {
    using wire = new TestWire();
    const place = { at: wire.middle, sender: wire.left, name: "veth1" };
    expectWhole((await survive(place, "forward", "veth0", "veth2")).last, 8192);
    expectWhole((await survive(place, "filter", "veth0", "veth2", "--match", "pineapple")).last, 8192);
    expectWhole(
      (await survive(place, "change-word", "veth0", "veth2", "--from", "apple", "--to", "watermelon")).last,
      8192,
    );
  });
});
