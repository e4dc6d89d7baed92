// SPDX-License-Identifier: MIT
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Controller, directBackend } from "../../src/control/index.js";
import { XdpctlError } from "../../src/errors/index.js";
import type { PacketEvent, XdpctlEvent } from "../../src/events/index.js";
import { Loop } from "../../src/loop/index.js";
import { type Backend, connect, type LoadParams } from "../../src/rpc/index.js";
import { TestPair } from "../fixtures/netns.js";

let pair: TestPair;
let leave: () => void;
let loop: Loop;
let controller: Controller;

beforeEach(async () => {
  pair = new TestPair();
  leave = pair.left.enter();
  loop = new Loop();
  controller = await Controller.start({ kind: "run", loop });
});

afterEach(async () => {
  await controller.close();
  loop.close();
  leave();
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

const addressesFrom = (first: number, count: number): string[] =>
  Array.from({ length: count }, (_, i) => `10.${first}.${i >> 8}.${i & 255}`);

test("many rules are written at once; a full map takes none of them, but what has expired makes room", {
  timeout: 30_000,
}, async () => {
  await controller.request("load", load("guard"));
  const deny = (addresses: string[], more: object = {}) =>
    controller.request("rules.add", { rule: { action: "deny", ...more }, addresses });
  const count = async (): Promise<number> => (await controller.request("rules", {})).rules.length;
  const began = performance.now();
  const { rules } = await deny(addressesFrom(1, 2000));
  expect(performance.now() - began).toBeLessThan(2000);
  expect(rules[300]).toEqual({
    action: "deny",
    address: "10.1.1.44",
    port: null,
    proto: null,
    hits: 0,
    expires: null,
    owner: "",
    rate: null,
    burst: null,
    interfaces: ["eth0"],
  });
  expect((await controller.request("rules", {})).rules).toContainEqual(rules[300]);
  const { maps } = await controller.request("map.list", { all: false });
  const most = maps.find((map) => map.name === "deny_v4")?.maxEntries as number;
  await deny(addressesFrom(2, most - 2000 - 1));
  expect(await code(deny(["10.1.0.0", "192.0.2.1", "192.0.2.2"], { owner: "late" }))).toBe("XDPCTL_E_MAP_FULL");
  const after = (await controller.request("rules", {})).rules;
  expect(after).toHaveLength(most - 1);
  expect(after.filter((rule) => rule.owner === "late")).toEqual([]);
  await deny(["192.0.2.1"], { expiresIn: 0.001 });
  await sleep(5);
  expect(await deny(["192.0.2.2"])).toMatchObject({ rules: [{ address: "192.0.2.2" }] });
  expect(await code(controller.request("rule.add", { action: "deny", address: "192.0.2.3" }))).toBe(
    "XDPCTL_E_MAP_FULL",
  );
  expect(await count()).toBe(most);
});

test("the answer to a rule is the rule as it is listed", async () => {
  await controller.request("load", load("guard"));
  const specs = [
    { action: "deny", address: "10.1.2.3/8" },
    { action: "deny", address: "0.0.0.0/0", port: 53, proto: "udp" },
    { action: "allow", address: "2001:DB8:0:0::1" },
    { action: "allow", address: "::ffff:192.0.2.9", port: 22 },
    { action: "limit", address: "::/0", rate: 90, burst: 7 },
    { action: "deny", port: 23, owner: "test" },
  ] as const;
  const added = [];
  for (const spec of specs) added.push((await controller.request("rule.add", spec)).rule);
  const { rules } = await controller.request("rules", {});
  expect(rules).toHaveLength(specs.length);
  for (const rule of added) expect(rules).toContainEqual(rule);
  // One that is over before it can be read was written all the same.
  const { rule } = await controller.request("rule.add", { action: "deny", address: "1.1.1.1", expiresIn: 1e-9 });
  expect(rule).toMatchObject({ address: "1.1.1.1", expires: expect.any(String) });
});

test("expired rules are deleted by the clock", { timeout: 15_000 }, async () => {
  await controller.request("load", load("guard"));
  await controller.request("rule.add", { action: "deny", address: "192.0.2.1", expiresIn: 0.001 });
  const end = Date.now() + 10_000;
  const entries = async () => (await controller.request("map.dump", { map: "deny_v4" })).entries.length;
  while ((await entries()) > 0 && Date.now() < end) await sleep(100);
  expect(await entries()).toBe(0);
});

test("of rules to delete all are deleted or none, and those that are missing are named", async () => {
  await controller.request("load", load("guard"));
  const add = (address: string) => controller.request("rule.add", { action: "deny", address });
  for (const address of ["192.0.2.1", "192.0.2.3", "198.51.100.0/24", "0.0.0.0/0"]) await add(address);
  const remove = (...addresses: string[]) =>
    controller.request("rules.delete", { rule: { action: "deny" }, addresses });
  await expect(remove("192.0.2.1", "192.0.2.2", "192.0.2.3")).rejects.toMatchObject({
    code: "XDPCTL_E_NO_KEY",
    message: "there is no such rule: deny 192.0.2.2; nothing was deleted",
  });
  await expect(remove("198.51.100.0/25", "192.0.2.9")).rejects.toMatchObject({
    message: "there are no such rules: deny 198.51.100.0/25, deny 192.0.2.9",
  });
  expect((await controller.request("rules", {})).rules).toHaveLength(4);
  expect(await remove("192.0.2.1", "192.0.2.1", "0.0.0.0/0")).toEqual({ deleted: 2 });
  expect((await controller.request("rules", {})).rules.map((rule) => rule.address).sort()).toEqual([
    "192.0.2.3",
    "198.51.100.0/24",
  ]);
});

test("events of an interface that is not there are refused", async () => {
  const subscribe = (name: string) => controller.subscribe("events", { interface: name }, () => undefined);
  await expect(subscribe("eth1")).rejects.toMatchObject({
    code: "XDPCTL_E_NO_INTERFACE",
    message: "there is no interface eth1 in this namespace (did you mean eth0?)",
  });
  const client = (await connect()) as Backend & { close(): void };
  expect(await code(client.subscribe("events", { interface: "nope" }, () => undefined))).toBe("XDPCTL_E_NO_INTERFACE");
  client.close();
  (await subscribe("eth0")).close();
});
