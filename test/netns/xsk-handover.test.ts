// SPDX-License-Identifier: MIT
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Umem, XskSocket } from "../../src/xsk/index.js";
import { isRoot } from "../fixtures/needs.js";
import { TestPair } from "../fixtures/netns.js";
import { Running, XDPCTL } from "../fixtures/xdpctl.js";

const LIES = fileURLToPath(new URL("../fixtures/xsk/adopt-lies.mjs", import.meta.url));
let pair: TestPair;
beforeAll(() => {
  pair = new TestPair({ net: 43 });
});
afterAll(() => {
  for (const nic of XskSocket.all) nic.umem.close();
  pair?.close();
});

/** What one process is told for lies about one socket, one after the other. */
function lies(...told: Record<string, unknown>[]): string[] {
  const open = ["xsk", "open", "eth0", "--frames", "1024", "--ring", "512", "--"];
  const argv = [...XDPCTL, ...open, process.execPath, LIES, ...told.map((lie) => JSON.stringify(lie))];
  const { stdout, stderr, status } = pair.right.exec(argv);
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return stdout.trim().split("\n");
}

const rings = { rx: 512, tx: 512, fill: 512, completion: 512 };
const HANDOVER = "XDPCTL_E_HANDOVER";
const SIZE = "XDPCTL_E_XSK_SIZE";

describe.skipIf(!isRoot)("a socket from somebody who lies", () => {
  /** What is refused without a touch: the truth is taken after. */
  const REFUSED: [lie: Record<string, unknown>, code: string, message: string][] = [
    [{ version: 2 }, HANDOVER, "is not of version 1"],
    [{ socket: 0 }, HANDOVER, "0 is no socket"],
    [{ socket: 4, memory: 3 }, HANDOVER, "descriptor 4 is no AF_XDP socket"],
    [{ memory: 3 }, HANDOVER, "one descriptor twice"],
    [{ memory: 999 }, HANDOVER, "descriptor 999 is not open"],
    [{ memory: 1 }, HANDOVER, "1 is no memory"],
    [{ link: -2 }, HANDOVER, "-2 is no link"],
    [{ interface: "../eth0" }, HANDOVER, '"../eth0" is no interface'],
    [{ ifindex: 0 }, HANDOVER, "0 is no ifindex"],
    [{ queue: -1 }, HANDOVER, "-1 is no queue"],
    [{ unaligned: 1 }, HANDOVER, "1 is no unaligned"],
    [{ copy: "maybe" }, HANDOVER, '"maybe" is no copy'],
    [{ needWakeup: null }, HANDOVER, "null is no needWakeup"],
    [{ multiBuffer: "yes" }, HANDOVER, '"yes" is no multiBuffer'],
    [{ rings: 7 }, HANDOVER, "7 is no rings"],
    [{ rings: { ...rings, rx: 500 } }, SIZE, "an rx ring of 500"],
    [{ rings: { ...rings, fill: "512" } }, SIZE, "a fill ring of 512"],
    [{ rings: {} }, SIZE, "an rx ring of undefined"],
    [{ frameSize: 3000 }, SIZE, "frames of 3000 bytes"],
    [{ frameSize: 64 }, SIZE, "frames of 64 bytes"],
    [{ frameCount: 0 }, SIZE, "0 frames"],
    [{ frameCount: 1.5 }, HANDOVER, "1.5 is no frameCount"],
    [{ frameCount: 2 ** 40 }, SIZE, "frames of 2048 bytes"],
    [{ headroom: 4000 }, SIZE, "a headroom of 4000"],
    [{ frameCount: 1025 }, HANDOVER, "is no memory of 1025 frames"],
    [{ file: 8 * 2 ** 20 }, HANDOVER, "may be cut off: it is not sealed"],
    [{ file: 4096 }, HANDOVER, "is no memory of 1024 frames"],
  ];

  it("is refused with a code, whatever the lie; what is true is taken after", () => {
    const told = lies(...REFUSED.map(([lie]) => lie), {});
    expect(told.pop()).toBe("adopted eth0 512");
    for (const [i, [lie, code, message]] of REFUSED.entries()) {
      expect(told[i], JSON.stringify(lie)).toMatch(new RegExp(`^${code}: `));
      expect(told[i]).toContain(message);
    }
  });

  it.each([
    ["larger rings", { rings: { ...rings, tx: 4096 } }, /^XDPCTL_E_HANDOVER: the socket's tx ring is not one of 4096/],
    ["smaller rings", { rings: { ...rings, rx: 256 } }, /^XDPCTL_E_HANDOVER: the socket's rx ring is not one of 256/],
    ["another interface", { ifindex: 9999 }, /^XDPCTL_E_NO_INTERFACE: eth0 is gone/],
    ["a queue that isn't there", { queue: 9 }, /^XDPCTL_E_NO_QUEUE/],
    ["zero copy", { copy: "zerocopy" }, /^XDPCTL_E_ZERO_COPY/],
    // The kernel doesn't tell how memory was registered: what is said holds within it.
    ["other frames of the same memory", { frameSize: 4096, frameCount: 512 }, /^adopted eth0 512/],
    ["unaligned frames", { unaligned: true }, /^adopted eth0 512/],
  ])("%s", (_, lie, expected) => {
    expect(lies(lie)[0]).toMatch(expected);
  });

  it("a received frame beyond the memory ends serve, and is shown to nobody", async () => {
    const umem = Umem.create({ frameCount: 1024, checked: false });
    const nic = pair.right.run(() => XskSocket.open(umem, "eth0"));
    nic.engine.foreign = true;
    // As if only the first frames had been handed over: the kernel has received into those behind.
    Object.defineProperty(umem, "length", { value: 2048 });
    let shown = 0;
    const served = nic.serve(() => void shown++);
    const failed = expect(served).rejects.toMatchObject({ code: HANDOVER });
    const { slots } = nic.engine.fill;
    for (let i = 0; i < slots.length; i += 2) slots[i] = 512 * 2048;
    await new Running(pair.left.argv("ping", "-c2", "-i0.1", "-W0.1", pair.rightAddress)).ended();
    await failed;
    expect(shown).toBe(0);
    umem.close();
  });

  it("an index that can't be counts as nothing", () => {
    const umem = Umem.create({ frameCount: 1024 });
    const nic = pair.right.run(() => XskSocket.open(umem, "eth0"));
    const { rx } = nic.engine;
    for (const index of [-1, rx.size + 1, 2 ** 31 - 1, -(2 ** 31)]) {
      rx.words[rx.producerAt] = rx.consumer + index;
      expect(nic.receive(64)).toEqual([]);
    }
    umem.close();
  });
});
