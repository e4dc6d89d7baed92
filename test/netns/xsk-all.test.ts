// SPDX-License-Identifier: MIT
import { readdirSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openRoute } from "../../src/netlink/index.js";
import { type ServeAllOptions, type ServedInterface, serveAll } from "../../src/xsk/index.js";
import { TestNamespace } from "../fixtures/netns.js";

const ECHO = new URL("../fixtures/xsk/echo.mjs", import.meta.url);
let left: TestNamespace;
let right: TestNamespace;

beforeAll(() => {
  left = new TestNamespace("l");
  right = new TestNamespace("r");
  const queues = ["numrxqueues", "2", "numtxqueues", "2"];
  const peer = ["peer", "name", "eth0", "index", "32", ...queues, "netns", right.name];
  left.must("ip", "link", "add", "eth0", "index", "31", ...queues, "type", "veth", ...peer);
  for (const [side, host] of [
    [left, 1],
    [right, 2],
  ] as const) {
    side.must("ip", "address", "add", `10.78.1.${host}/24`, "dev", "eth0");
    side.must("ip", "link", "set", "eth0", "up");
  }
});
afterAll(() => {
  left.close();
  right.close();
});

const serve = (options: ServeAllOptions = {}, module: URL | string = ECHO): Promise<ServedInterface> =>
  right.run(() => serveAll("eth0", module, { umem: { frameCount: 1024, checked: true }, ...options }));

const program = (): string =>
  right.run(() => {
    const route = openRoute();
    const mode = route.links().find(({ name }) => name === "eth0")?.xdp.mode ?? "";
    route.close();
    return mode;
  });

/** Datagrams of many flows, which the kernel spreads over the queues. */
const flood = (): void =>
  void left.must("bash", "-c", "for p in {9000..9063}; do echo hi > /dev/udp/10.78.1.2/$p; done");

/** The CPUs of this process's threads that are allowed only one. */
const pinned = (): string[] =>
  readdirSync("/proc/self/task").flatMap((tid) => {
    const [, list = ""] =
      /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync(`/proc/self/task/${tid}/status`, "utf8")) ?? [];
    return /^\d+$/.test(list) ? [list] : [];
  });

test("all queues of an interface, a worker kept on a CPU for each", async () => {
  const served = await serve({ cpus: [0, 1] });
  expect([served.interface, served.mode, served.queues]).toEqual(["eth0", "native", [0, 1]]);
  expect(pinned().sort()).toEqual(["0", "1"]);
  left.must("ip", "neigh", "replace", "10.78.1.2", "lladdr", "02:00:00:00:00:02", "dev", "eth0");
  flood();
  await expect.poll(async () => (await served.statistics()).total.completed).toBeGreaterThanOrEqual(64);
  const { total, queues } = await served.statistics();
  expect(queues.map(({ queue, cpu }) => [queue, cpu])).toEqual([
    [0, 0],
    [1, 1],
  ]);
  for (const { received } of queues) expect(received).toBeGreaterThan(0);
  expect(total.received).toBe(queues.reduce((sum, { received }) => sum + received, 0));
  expect(Number(served.redirected?.redirect.packets)).toBeGreaterThanOrEqual(64);
  await served.stop();
  await served.done;
  expect((await served.statistics()).total.sent).toBeGreaterThanOrEqual(64);
  expect(program()).toBe("none");
  expect(pinned()).toEqual([]);
});

test("a handler that throws in one worker ends all, and the caller hears of it", async () => {
  const served = await serve({ data: { failOn: 2 } });
  flood();
  await expect(served.done).rejects.toThrow("told to fail");
  expect(program()).toBe("none");
  await served.stop();
});

test("what is refused: a queue that isn't there, no module, no handler, no interface", async () => {
  await expect(serve({ queues: [0, 7] })).rejects.toMatchObject({ code: "XDPCTL_E_NO_QUEUE" });
  await expect(serve({}, "file:///nowhere.mjs")).rejects.toThrow(
    "the handler's module file:///nowhere.mjs can't be loaded",
  );
  await expect(serve({}, "data:text/javascript,export const a = 1")).rejects.toThrow("has no handler");
  await expect(serve({ queues: [] })).rejects.toMatchObject({ code: "XDPCTL_E_USAGE" });
  await expect(serveAll("eth7", ECHO)).rejects.toMatchObject({ code: "XDPCTL_E_NO_INTERFACE" });
  expect(program()).toBe("none");
});
