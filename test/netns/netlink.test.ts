// SPDX-License-Identifier: MIT
import { closeSync, openSync, readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { XdpctlError } from "../../src/errors/index.js";
import type { LinkEvent, LostEvent } from "../../src/events/index.js";
import { CLONE_NEWNET, ownNamespacePath, setNamespace, unshare } from "../../src/linux/index.js";
import { Loop } from "../../src/loop/index.js";
import {
  EthtoolSocket,
  LinkMonitor,
  monitorLinks,
  openRoute,
  type RouteSocket,
  requests,
  setMasquerade,
  XDP_FEATURES,
} from "../../src/netlink/index.js";

const home = openSync(ownNamespacePath("net"), "r");
let here: number;
let route: RouteSocket;

beforeEach(() => {
  unshare(CLONE_NEWNET);
  here = openSync(ownNamespacePath("net"), "r");
  route = openRoute();
});
afterEach(() => {
  route.close();
  closeSync(here);
  setNamespace(home, "net");
});

const failure = (body: () => unknown): XdpctlError => {
  try {
    body();
  } catch (error) {
    return error as XdpctlError;
  }
  throw new Error("it did not fail");
};

it("sets how long neighbours are waited for", () => {
  route.addVeth({ name: "eth0", index: 40 }, { name: "eth1", index: 41 });
  route.execute([requests.setRetransmitTime(40, 4, 500), requests.setRetransmitTime(41, 6, 1500)]);
  const time = (family: string, name: string): number =>
    Number(readFileSync(`/proc/sys/net/${family}/neigh/${name}/retrans_time_ms`, "utf8"));
  expect([time("ipv4", "eth0"), time("ipv6", "eth0"), time("ipv4", "eth1"), time("ipv6", "eth1")]).toEqual([
    500, 1000, 1000, 1500,
  ]);
});

describe("links", () => {
  it("makes a veth pair under given names and indices, in one message up and carrying", () => {
    route.addVeth(
      { name: "a0", index: 40, up: true, mtu: 1400, address: "02:00:00:00:00:0a" },
      { name: "b0", index: 41 },
    );
    route.setLink(41, { up: true });
    expect(route.link("a0")).toMatchObject({
      index: 40,
      name: "a0",
      up: true,
      carrier: true,
      mtu: 1400,
      address: "02:00:00:00:00:0a",
      kind: "veth",
      peer: 41,
      queues: expect.any(Number),
      xdp: { mode: "none", progId: 0 },
    });
    expect(route.links().map((link) => link.name)).toEqual(["lo", "a0", "b0"]);
    route.deleteLink(41);
    expect(route.links().map((link) => link.name)).toEqual(["lo"]);
  });

  it("creates each end in its own namespace, and works on a namespace from outside", () => {
    unshare(CLONE_NEWNET);
    const other = openSync(ownNamespacePath("net"), "r");
    const there = openRoute();
    try {
      setNamespace(home, "net");
      route.addVeth({ name: "eth0", netns: here }, { name: "eth0", netns: other });
      expect(route.link("eth0")?.kind).toBe("veth");
      expect(there.link("eth0")?.kind).toBe("veth");
      there.setLink(there.link("eth0")?.index ?? 0, { name: "renamed", up: true });
      expect(there.link("renamed")?.up).toBe(true);
    } finally {
      there.close();
      closeSync(other);
    }
  });

  it("makes bridges with ports", () => {
    route.execute([
      requests.bridge({ name: "br0", index: 5, up: true, multicastSnooping: false }),
      requests.veth({ name: "p0", index: 6, master: 5, up: true }, { name: "e0", index: 7 }),
    ]);
    expect(route.link("br0")?.kind).toBe("bridge");
    expect(route.link("p0")?.master).toBe(5);
    expect(readFileSync("/proc/net/dev", "utf8")).toContain("br0:");
  });

  it("says what was tried, and the kernel's own words", () => {
    const gone = failure(() => route.deleteLink(4711));
    expect(gone.code).toBe("XDPCTL_E_NETLINK");
    expect(gone.message).toContain("deleting link 4711");
    expect(gone.errno).toBe(19);
    route.addVeth({ name: "a0" }, { name: "b0" });
    const mtu = failure(() => route.setLink(route.link("a0")?.index ?? 0, { mtu: 12 }));
    expect(mtu.kernel).toMatch(/mtu/i);
    const second = failure(() =>
      route.execute([requests.veth({ name: "c0" }, { name: "d0" }), requests.veth({ name: "a0" }, { name: "x0" })]),
    );
    expect(second.errno).toBe(17);
    expect(second.cause).toBe(1);
    expect(route.link("c0")).toBeDefined();
    expect(route.link("nothing-here")).toBeUndefined();
    expect(route.link("a-name-that-is-too-long-for-an-interface")).toBeUndefined();
  });

  it("refuses a bad program descriptor with a reason", () => {
    expect(failure(() => route.setXdp(1, 999, 2)).code).toBe("XDPCTL_E_NETLINK");
  });
});

describe("addresses, routes, neighbours", () => {
  it("adds, lists and deletes them, v4 and v6, at once usable", () => {
    route.execute([
      requests.veth({ name: "a0", index: 8, up: true }, { name: "b0", index: 9 }),
      requests.change(9, { up: true }),
      requests.addAddress(8, "192.0.2.1/24"),
      requests.addAddress(8, "2001:db8::1/64"),
      requests.addAddress(8, "2001:db8::1/64"),
      requests.addRoute({ to: "198.51.100.0/24", via: "192.0.2.2" }),
      requests.addRoute({ to: "default", via: "192.0.2.3", metric: 7 }),
      requests.addRoute({ to: "default", via: "2001:db8::2" }),
      requests.addRoute({ to: "203.0.113.0/24", index: 8 }),
      requests.addNeighbour(8, "192.0.2.2", "02:00:00:00:00:02"),
    ]);
    expect(route.addresses().filter((a) => a.index === 8 && !a.address.startsWith("fe80"))).toEqual([
      { index: 8, address: "192.0.2.1", prefixLen: 24, family: 4 },
      { index: 8, address: "2001:db8::1", prefixLen: 64, family: 6 },
    ]);
    // Flag 0x40 is IFA_F_TENTATIVE.
    expect(readFileSync("/proc/thread-self/net/if_inet6", "utf8")).toMatch(/20010db8\S+ 08 40 00 [89]2 +a0/);
    const routes = route.routes();
    expect(routes).toContainEqual({
      to: "198.51.100.0/24",
      family: 4,
      via: "192.0.2.2",
      index: 8,
      metric: 0,
      protocol: 4,
    });
    expect(routes).toContainEqual({ to: "default", family: 4, via: "192.0.2.3", index: 8, metric: 7, protocol: 4 });
    expect(routes).toContainEqual({ to: "203.0.113.0/24", family: 4, index: 8, metric: 0, protocol: 4 });
    expect(routes.find((r) => r.family === 6 && r.to === "default")?.via).toBe("2001:db8::2");
    expect(route.neighbours()).toContainEqual({
      index: 8,
      address: "192.0.2.2",
      hardware: "02:00:00:00:00:02",
      state: 0x80,
    });
    route.deleteRoute({ to: "default", via: "192.0.2.3", metric: 7 });
    route.deleteAddress(8, "2001:db8::1/64");
    expect(route.routes().some((r) => r.family === 4 && r.to === "default")).toBe(false);
    expect(route.addresses().some((a) => a.address === "2001:db8::1")).toBe(false);
  });
});

describe("offloads", () => {
  it("sets what XDP needs on a veth", () => {
    route.addVeth({ name: "a0", index: 8 }, { name: "b0", index: 9 });
    const ethtool = new EthtoolSocket();
    try {
      expect(ethtool.features(8).has("tx-checksum-ip-generic")).toBe(true);
      ethtool.setFeatures([8, 9], XDP_FEATURES);
      for (const index of [8, 9]) {
        const on = ethtool.features(index);
        for (const [name, wanted] of Object.entries(XDP_FEATURES)) expect([name, on.has(name)]).toEqual([name, wanted]);
      }
    } finally {
      ethtool.close();
    }
  });
});

describe("masquerading", () => {
  it("is one transaction that can be repeated and taken back", () => {
    setMasquerade({ table: "xdpctl", interfaces: ["eth0", "eth1"] });
    setMasquerade({ table: "xdpctl", interfaces: ["eth0"] });
    setMasquerade({ table: "xdpctl", interfaces: [] });
    setMasquerade({ table: "xdpctl", interfaces: [] });
  });
});

describe("the link monitor", () => {
  const until = async (what: string, condition: () => boolean): Promise<void> => {
    const deadline = Date.now() + 3000;
    while (!condition()) {
      if (Date.now() > deadline) throw new Error(`waited for ${what}`);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  };

  it("reports links that come, change and go, and nothing twice", async () => {
    const loop = new Loop();
    const seen: string[] = [];
    const monitor = monitorLinks(loop, (event) => {
      if (event.type === "link") seen.push(`${event.action} ${event.interface} ${event.up ? "up" : "down"}`);
    });
    try {
      route.addVeth({ name: "a0", index: 8 }, { name: "b0", index: 9 });
      route.setLink(8, { up: true });
      route.setLink(8, { up: true });
      route.deleteLink(8);
      await until("the deletion", () => seen.filter((line) => line.startsWith("delete")).length === 2);
      expect(seen).toContain("new a0 down");
      expect(seen).toContain("change a0 up");
      expect(seen).toContain("delete b0 down");
      expect(new Set(seen).size).toBe(seen.length);
    } finally {
      monitor.close();
      loop.close();
    }
  });

  it("survives an overrun: says so, and finds the state by reading it anew", async () => {
    const loop = new Loop();
    const events: (LinkEvent | LostEvent)[] = [];
    const monitor = new LinkMonitor(loop, (event) => events.push(event), { receiveBuffer: 4096 });
    try {
      route.addVeth({ name: "a0", index: 8 }, { name: "b0", index: 9 });
      for (let mtu = 1000; mtu < 1100; mtu++) route.setLink(8, { mtu });
      route.addBridge({ name: "late" });
      await until("the last link", () => monitor.links.length === route.links().length);
      expect(events.some((event) => event.type === "lost" && event.where === "netlink")).toBe(true);
      expect(monitor.links.find((link) => link.name === "a0")?.mtu).toBe(1099);
      expect(monitor.links.map((l) => l.name).sort()).toEqual(
        route
          .links()
          .map((l) => l.name)
          .sort(),
      );
    } finally {
      monitor.close();
      loop.close();
    }
  });
});
