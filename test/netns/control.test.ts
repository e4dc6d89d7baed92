// SPDX-License-Identifier: MIT
import { closeSync, openSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Controller, directBackend } from "../../src/control/index.js";
import { XdpctlError } from "../../src/errors/index.js";
import type { PacketEvent, XdpctlEvent } from "../../src/events/index.js";
import { setNamespace } from "../../src/linux/index.js";
import { Loop } from "../../src/loop/index.js";
import { type Backend, connect, type LoadParams } from "../../src/rpc/index.js";
import { TestPair } from "../fixtures/netns.js";

let pair: TestPair;
let home: number;
let loop: Loop;
let controller: Controller;

beforeEach(async () => {
  pair = new TestPair();
  home = openSync("/proc/thread-self/ns/net", "r");
  const fd = openSync(pair.left.path, "r");
  setNamespace(fd, "net");
  closeSync(fd);
  loop = new Loop();
  controller = await Controller.start({ kind: "run", loop });
});

afterEach(async () => {
  await controller.close();
  loop.close();
  setNamespace(home, "net");
  closeSync(home);
  pair.close();
});

const load = (program: string, more: Partial<LoadParams> = {}): LoadParams => ({
  program,
  interfaces: ["eth0"],
  mode: "auto",
  force: false,
  keep: false,
  ...more,
});

async function until<T>(what: string, look: () => T | undefined | false): Promise<T> {
  const end = Date.now() + 3000;
  for (;;) {
    const found = look();
    if (found !== undefined && found !== false) return found;
    if (Date.now() > end) throw new Error(`no ${what} within 3 s`);
    await sleep(10);
  }
}

async function code(promise: Promise<unknown>): Promise<string> {
  return await promise.then(
    () => "ok",
    (error: unknown) => (XdpctlError.is(error) ? error.code : String(error)),
  );
}

test("there is one controller in a namespace, and commands find it", async () => {
  const other = new Loop();
  expect(await code(Controller.start({ kind: "run", loop: other }))).toBe("XDPCTL_E_CONTROLLER_RUNS");
  other.close();
  const client = await connect();
  expect(await client?.request("info", {})).toMatchObject({ pid: process.pid, kind: "run" });
  client?.close();
});

test("two readers of events both see all events; a rule from a client stops the packets", async () => {
  await controller.request("load", load("guard"));
  const client = (await connect()) as Backend & { close(): void };
  const seen: [PacketEvent[], PacketEvent[]] = [[], []];
  const keep = (list: PacketEvent[]) => (event: XdpctlEvent) => {
    if ("src" in event) list.push(event);
  };
  const subscriptions = [
    await client.subscribe("events", { types: ["flow", "deny"] }, keep(seen[0])),
    await controller.subscribe("events", { types: ["flow", "deny"] }, keep(seen[1])),
  ];
  expect(pair.right.ping(pair.leftAddress)).toBe(1);
  await until("flow", () => seen[0].find((e) => e.type === "flow" && e.src === pair.rightAddress));
  await client.request("rule.add", { action: "deny", address: pair.rightAddress, expiresIn: 60 });
  expect(pair.right.ping(pair.leftAddress)).toBe(0);
  const deny = await until("deny", () => seen[0].find((e) => e.type === "deny"));
  expect(deny).toMatchObject({ interface: "eth0", verdict: "DROP", reason: "deny-addr", proto: "icmp", prefixLen: 32 });
  await until("the same at both", () => seen[0].length === seen[1].length);
  expect(seen[0]).toEqual(seen[1]);
  const { rules } = await client.request("rules", {});
  expect(rules).toMatchObject([{ action: "deny", address: pair.rightAddress, hits: 1, interfaces: ["eth0"] }]);
  expect(await client.request("rule.delete", { action: "deny", address: pair.rightAddress })).toEqual({ deleted: 1 });
  expect(pair.right.ping(pair.leftAddress)).toBe(1);
  for (const one of subscriptions) one.close();
  client.close();
});

test("rules by port, by address and port, and limits; expired ones are gone", async () => {
  await controller.request("load", load("guard"));
  const add = (rule: object): Promise<unknown> => controller.request("rule.add", rule as never);
  await add({ action: "deny", port: 23 });
  await add({ action: "deny", address: "192.0.2.0/24", port: 80, proto: "tcp" });
  await add({ action: "allow", address: "2001:db8::/32" });
  await add({ action: "limit", address: "0.0.0.0/0", rate: 5, burst: 3 });
  await add({ action: "deny", address: "198.51.100.1", expiresIn: 0.05 });
  await sleep(80);
  const { rules } = await controller.request("rules", {});
  expect(rules.map((r) => [r.action, r.address, r.port, r.proto, r.rate]).sort()).toEqual(
    [
      ["allow", "2001:db8::/32", null, null, null],
      ["deny", "192.0.2.0/24", 80, "tcp", null],
      ["deny", null, 23, null, null],
      ["limit", "0.0.0.0/0", null, null, 5],
    ].sort(),
  );
  expect(pair.right.ping(pair.leftAddress, 20, 0.01)).toBeLessThan(8);
  expect(await code(add({ action: "deny", address: "192.0.2.0/33" }))).toBe("XDPCTL_E_USAGE");
  expect(await code(add({ action: "limit", port: 5, rate: 1 }))).toBe("XDPCTL_E_USAGE");
  expect(await code(add({ action: "deny" }))).toBe("XDPCTL_E_USAGE");
  expect(await controller.request("rule.delete", { action: "deny", all: true })).toEqual({ deleted: 2 });
});

test("status knows rates and what is not ours; maps are read and written by name", async () => {
  await controller.request("load", load("guard"));
  pair.right.ping(pair.leftAddress, 3);
  const { interfaces } = await controller.request("status", {});
  expect(interfaces).toMatchObject([{ interface: "eth0", program: "guard", mode: "native", owner: "xdpctl", lost: 0 }]);
  expect(interfaces[0]?.counters?.pass.packets).toBeGreaterThanOrEqual(3);
  const { maps } = await controller.request("map.list", { all: false });
  expect(maps.map((m) => m.name)).toContain("flows");
  const key = { addr: "203.0.113.0", prefixLen: 24 };
  await controller.request("map.set", { map: "deny_v4", key, value: { owner: "test" } });
  expect(await controller.request("map.get", { map: "eth0/deny_v4", key })).toMatchObject({
    key,
    value: { owner: "test" },
  });
  expect(await controller.request("map.delete", { map: "deny_v4", key })).toEqual({ deleted: 1 });
  expect(await code(controller.request("map.get", { map: "deny_v4", key }))).toBe("XDPCTL_E_NO_KEY");
  expect(await code(controller.request("map.get", { map: "deny_v5", key }))).toBe("XDPCTL_E_NO_MAP");
  expect(await code(controller.request("map.set", { map: "deny_v4", key: "x", value: {} }))).toBe("XDPCTL_E_BAD_KEY");
  expect((await controller.request("map.dump", { map: "flows" })).entries.length).toBeGreaterThan(0);
});

test("an interface that vanishes is reported, and nothing of it stays", async () => {
  await controller.request("load", load("guard", { keep: true }));
  const seen: XdpctlEvent[] = [];
  const subscription = await controller.subscribe("events", { types: ["xdp", "link"] }, (event) => seen.push(event));
  pair.right.must("ip", "link", "del", "eth0");
  await until("gone", () => seen.find((e) => e.type === "xdp" && e.action === "gone"));
  expect((await controller.request("status", {})).interfaces).toEqual([]);
  expect(await code(controller.request("unload", { interfaces: ["eth0"], all: false, force: false }))).toBe(
    "XDPCTL_E_NO_INTERFACE",
  );
  subscription.close();
});

test("an interface that is renamed is known by its new name, and no longer by the old one", async () => {
  await controller.request("load", load("guard"));
  const seen: XdpctlEvent[] = [];
  const subscription = await controller.subscribe("events", { types: ["link"] }, (event) => seen.push(event));
  pair.left.must("ip", "link", "set", "eth0", "down");
  pair.left.must("ip", "link", "set", "eth0", "name", "wan0");
  pair.left.must("ip", "link", "set", "wan0", "up");
  await until("the new name", () => seen.find((e) => e.type === "link" && e.interface === "wan0" && e.up));
  await controller.request("rule.add", { action: "deny", address: "192.0.2.1", interface: "wan0" });
  expect((await controller.request("rules", {})).rules).toMatchObject([{ interfaces: ["wan0"] }]);
  expect((await controller.request("map.dump", { map: "wan0/deny_v4" })).entries).toHaveLength(1);
  expect(await code(controller.request("map.dump", { map: "eth0/deny_v4" }))).toBe("XDPCTL_E_NO_INTERFACE");
  expect(await controller.request("unload", { interfaces: ["wan0"], all: false, force: false })).toMatchObject({
    detached: [{ interface: "wan0", program: "guard" }],
  });
  subscription.close();
});

test("what it attached goes when it ends, what was kept stays and is taken up again", async () => {
  await controller.request("load", load("drop"));
  await controller.close();
  const direct = directBackend();
  expect((await direct.request("status", {})).interfaces[0]?.program).toBeNull();
  await direct.request("load", load("guard"));
  await direct.request("rule.add", { action: "deny", address: pair.rightAddress });
  expect(await code(direct.request("policy.list", {}))).toBe("XDPCTL_E_NO_CONTROLLER");
  controller = await Controller.start({ kind: "run", loop });
  expect((await controller.request("status", {})).interfaces[0]).toMatchObject({ program: "guard", pinned: true });
  const seen: XdpctlEvent[] = [];
  const subscription = await controller.subscribe("events", { types: ["deny"] }, (event) => seen.push(event));
  expect(pair.right.ping(pair.leftAddress)).toBe(0);
  await until("deny", () => seen[0]);
  subscription.close();
  expect(await controller.request("unload", { interfaces: [], all: true, force: false })).toMatchObject({
    detached: [{ interface: "eth0", program: "guard" }],
  });
});

test("events that did not fit into the ring are counted and reported", { timeout: 20_000 }, async () => {
  await controller.request("load", load("guard", { ringSize: 4096 }));
  const lost: number[] = [];
  const subscription = await controller.subscribe("events", { types: ["lost"] }, (event) => {
    if (event.type === "lost") lost.push(event.count);
  });
  await controller.request("rule.add", { action: "deny", address: pair.rightAddress });
  // Nobody reads while this thread waits for ping: 200 records do not fit into 4,096 bytes.
  pair.right.exec(["ping", "-n", "-q", "-f", "-c", "200", "-W", "1", pair.leftAddress]);
  await until("lost", () => lost[0]);
  subscription.close();
  expect((await controller.request("status", {})).interfaces[0]?.lost).toBeGreaterThan(100);
});
