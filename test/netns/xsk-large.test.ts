// SPDX-License-Identifier: MIT
import { afterAll, beforeAll, expect, test } from "vitest";
import { Umem, XskSocket } from "../../src/xsk/index.js";
import { TestPair } from "../fixtures/netns.js";
import { Running } from "../fixtures/xdpctl.js";

let pair: TestPair;
beforeAll(() => {
  pair = new TestPair({ mtu: 9000 });
  // Whoever answers swaps addresses alone: the client must know where to send.
  pair.left.must("ip", "neigh", "replace", pair.rightAddress, "lladdr", "02:00:00:00:00:02", "dev", "eth0");
});
afterAll(() => {
  for (const nic of XskSocket.all) nic.umem.close();
  pair.close();
});

/** Turns an echo request into its answer; the checksum of ICMP follows. */
function answer({ bytes, start }: { bytes: Uint8Array; start: number }): void {
  for (let i = 0; i < 4; i++) {
    const [a, b] = [start + 26 + i, start + 30 + i];
    [bytes[a], bytes[b]] = [bytes[b] as number, bytes[a] as number];
  }
  bytes[start + 34] = 0;
  const sum = ((bytes[start + 36] as number) << 8) + (bytes[start + 37] as number) + 0x0800;
  const folded = (sum & 0xffff) + (sum >>> 16);
  bytes[start + 36] = folded >>> 8;
  bytes[start + 37] = folded;
}

test("a ping of 8,000 bytes comes in five frames, is one piece, and goes back in four", async () => {
  const umem = Umem.create({ frameCount: 512, checked: true });
  const options = { multiBuffer: true, rings: { fill: 256, rx: 256, tx: 256, completion: 256 } };
  const nic = pair.right.run(() =>
    XskSocket.open(umem, "eth0", { ...options, filter: { protocol: "icmp", to: pair.rightAddress } }),
  );
  const seen: [number, number][] = [];
  const kept: string[] = [];
  const served = nic.serve((frame) => {
    seen.push([frame.length, frame.fragments]);
    if (frame.fragments > 1 && kept.length === 0) {
      try {
        frame.take();
      } catch (error) {
        kept.push((error as Error).message);
      }
    }
    if (!frame.swapMacs()) return;
    answer(frame);
    frame.send();
  });
  const ping = (size: string) =>
    new Running(pair.left.argv("ping", "-c3", "-i0.1", "-W1", "-s", size, pair.rightAddress)).ended();
  expect((await ping("8000")).stdout).toMatch(/3 received/);
  expect((await ping("1000")).stdout).toMatch(/3 received/);
  nic.stop();
  await served;
  expect(seen).toEqual([...Array.from({ length: 3 }, () => [8042, 5]), ...Array.from({ length: 3 }, () => [1042, 1])]);
  expect(kept).toEqual(["a packet of 5 frames can't be taken"]);
  const { received, sent, txInvalid, invalid } = nic.statistics;
  expect({ received, sent, txInvalid, invalid }).toEqual({ received: 6, sent: 3 * 4 + 3, txInvalid: 0, invalid: 0 });
  nic.receive(0);
  expect(nic.statistics).toMatchObject({ completed: 15, sending: 0, filling: 256, free: 256 });
  umem.close();
});

test("a TX ring that is smaller than a packet: it can be dropped, and is when it is sent", async () => {
  const umem = Umem.create({ frameCount: 512, checked: true });
  const options = { multiBuffer: true, rings: { fill: 256, rx: 256, tx: 2, completion: 256 } };
  const nic = pair.right.run(() => XskSocket.open(umem, "eth0", { ...options, filter: { protocol: "icmp" } }));
  let n = 0;
  const served = nic.serve((frame) => {
    if (n++ > 0) frame.send();
  });
  await new Running(pair.left.argv("ping", "-c2", "-i0.1", "-W1", "-s", "8000", pair.rightAddress)).ended();
  nic.stop();
  await served;
  expect(nic.statistics).toMatchObject({ received: 2, dropped: 1, txRingFull: 1, sent: 0 });
  nic.close();
  expect(umem.free).toBe(512);
  umem.close();
});

test("no frame is free for a packet that became longer: it is counted as such", async () => {
  const umem = Umem.create({ frameCount: 64, checked: true });
  const options = { multiBuffer: true, rings: { fill: 64, rx: 64, tx: 64, completion: 64 } };
  const nic = pair.right.run(() => XskSocket.open(umem, "eth0", { ...options, filter: { protocol: "icmp" } }));
  const served = nic.serve((frame) => {
    frame.growTail(8000);
    frame.send();
  });
  await new Running(pair.left.argv("ping", "-c1", "-W1", "-s", "4000", pair.rightAddress)).ended();
  nic.stop();
  await served;
  expect(nic.statistics).toMatchObject({ received: 1, noFrame: 1, txRingFull: 0, sent: 0 });
  umem.close();
});

test("without multiBuffer a packet of several frames goes to the network stack", async () => {
  pair.left.must("ip", "neigh", "del", pair.rightAddress, "dev", "eth0");
  const umem = Umem.create({ frameCount: 512 });
  const nic = pair.right.run(() => XskSocket.open(umem, "eth0", { filter: { protocol: "icmp" } }));
  const served = nic.serve(() => {});
  const { stdout } = await new Running(pair.left.argv("ping", "-c1", "-W1", "-s", "8000", pair.rightAddress)).ended();
  nic.stop();
  await served;
  expect([nic.statistics.received, /1 received/.test(stdout)]).toEqual([0, true]);
  umem.close();
});

test("xdpctl xsk echo --jumbo answers a ping of 8,000 bytes; without it the stack does", async () => {
  for (const [flags, passed] of [
    [["--jumbo"], 0],
    [[], 3],
  ] as const) {
    const echo = Running.xdpctl(pair.right, "xsk", "echo", "eth0", "--json", "--stats", "50ms", ...flags);
    await echo.sees("{");
    const ping = new Running(pair.left.argv("ping", "-c3", "-i0.1", "-W1", "-s", "8000", "-Mdo", pair.rightAddress));
    expect((await ping.ended()).stdout).toMatch(/3 received/);
    echo.signal("SIGINT");
    const report = JSON.parse((await echo.ended()).stdout.trim().split("\n").at(-1) ?? "");
    expect(report).toMatchObject({ passed });
  }
});
