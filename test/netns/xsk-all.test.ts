// SPDX-License-Identifier: MIT
import { readdirSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openRoute } from "../../src/netlink/index.js";
import { type ServeAllOptions, type ServedInterface, serveAll } from "../../src/xsk/index.js";
import { TestNamespace } from "../fixtures/netns.js";
import { Running, xdpctl } from "../fixtures/xdpctl.js";

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
  const told = /^queue \d, file:.*echo\.mjs: RangeError: told to fail, at .*echo\.mjs:\d+/;
  await expect(served.done).rejects.toThrow(told);
  await expect(served.done).rejects.toMatchObject({ code: "XDPCTL_E_HANDLER" });
  expect(program()).toBe("none");
  await served.stop();
});

test("what is refused: a queue that isn't there, no module, no handler, no interface", async () => {
  await expect(serve({ queues: [0, 7] })).rejects.toMatchObject({ code: "XDPCTL_E_NO_QUEUE" });
  await expect(serve({}, "file:///nowhere.mjs")).rejects.toThrow(
    "the handler's module file:///nowhere.mjs can't be loaded",
  );
  await expect(serve({}, "data:text/javascript,export const a = 1")).rejects.toThrow("has no handler");
  await expect(serve({}, "./echo.mjs")).rejects.toMatchObject({ code: "XDPCTL_E_USAGE" });
  await expect(serve({ cpus: [99] })).rejects.toThrow("99 is no CPU");
  await expect(serve({ wait: "loop" as never })).rejects.toMatchObject({ code: "XDPCTL_E_USAGE" });
  await expect(serve({ queues: [] })).rejects.toMatchObject({ code: "XDPCTL_E_USAGE" });
  await expect(serveAll("eth7", ECHO)).rejects.toMatchObject({ code: "XDPCTL_E_NO_INTERFACE" });
  expect(program()).toBe("none");
});

/** The command at work: its program is attached. */
async function attached(...args: string[]): Promise<Running> {
  const running = Running.xdpctl(right, "xsk", ...args);
  await expect.poll(() => program() === "native" || running.child.exitCode !== null, { timeout: 10_000 }).toBe(true);
  // The last line before the first frame.
  await running.says("queues 0 on CPU");
  return running;
}

interface Line {
  queue: number | "all";
  cpu?: number;
  received: number;
  dropped: number;
  answered?: number;
  passed?: number;
  last?: boolean;
}
const lines = (text: string): Line[] =>
  text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Line);

test("xsk echo --queue all answers on each, and shows each and the sum", async () => {
  left.exec(["ip", "neigh", "del", "10.78.1.2", "dev", "eth0"]);
  const echo = await attached("echo", "eth0", "--queue", "all", "--stats", "50ms");
  expect(left.ping("10.78.1.2", 3)).toBe(3);
  const program = `const s = require("dgram").createSocket("udp4"); let n = 0;
    s.on("message", () => { if (++n === 200) { console.log("all"); process.exit(); } });
    for (let i = 0; i < 200; i++) require("dgram").createSocket("udp4").on("message", function () { s.emit("message"); }).send("hi", 7, "10.78.1.2");
    setTimeout(() => process.exit(1), 5000);`;
  expect(left.exec([process.execPath, "-e", program]).stdout).toBe("all\n");
  echo.signal("SIGINT");
  const { stdout, status } = await echo.ended();
  expect(status).toBe(0);
  expect(stdout).toMatch(/^PACKETS +queue 0 +RATE +queue 1 +RATE +all +RATE +WHERE$/m);
  const answered = /^answered +(\d+) +\S+ +(\d+) +\S+ +(\d+)/.exec(stdout.slice(stdout.lastIndexOf("answered")));
  const [first = 0, second = 0, sum = 0] = (answered ?? []).slice(1).map(Number);
  expect([first > 0, second > 0, first + second]).toEqual([true, true, sum]);
  expect(sum).toBeGreaterThanOrEqual(203);
});

test("xsk drop --queue all --count ends after so many of all queues", async () => {
  const drop = Running.xdpctl(
    right,
    "xsk",
    "drop",
    "eth0",
    "--queue",
    "all",
    "--count",
    "64",
    "--protocol",
    "udp",
    "--json",
  );
  await expect.poll(program, { timeout: 10_000 }).toBe("native");
  left.must("ip", "neigh", "replace", "10.78.1.2", "lladdr", "02:00:00:00:00:02", "dev", "eth0");
  left.exec(["ping", "-c1", "-W0.1", "10.78.1.2"]);
  await expect
    .poll(
      () => {
        flood();
        return drop.child.exitCode;
      },
      { timeout: 10_000 },
    )
    .toBe(0);
  const found = lines(drop.stdout);
  expect(found.map(({ queue, last }) => [queue, last])).toEqual([
    [0, true],
    [1, true],
    ["all", true],
  ]);
  const [first, second, all] = found as [Line, Line, Line];
  expect(all.received).toBe(first.received + second.received);
  // The rule takes UDP: a ping is nobody's but the network stack's.
  expect([first.passed, second.passed, Number(all.passed) > 0]).toEqual([undefined, undefined, true]);
  expect(all.received).toBeGreaterThanOrEqual(64);
  expect(program()).toBe("none");
});

test("what --queue all refuses", () => {
  const refused = (...args: string[]): string => xdpctl(right, ["xsk", ...args]).stderr;
  expect(refused("drop", "eth0", "--queue", "all", "--wait", "loop")).toMatch(/no event loop.*XDPCTL_E_USAGE/);
  expect(refused("drop", "eth0", "--queue", "all", "--fd", "3")).toMatch("XDPCTL_E_USAGE");
  expect(refused("echo", "eth9", "--queue", "all")).toMatch("XDPCTL_E_NO_INTERFACE");
  expect(refused("drop", "eth0", "--queue", "some")).toMatch("XDPCTL_E_USAGE");
  expect(refused("forward", "eth0", "lo", "--queue", "all")).toMatch("XDPCTL_E_USAGE");
});
