// SPDX-License-Identifier: MIT
import { once } from "node:events";
import type { Socket } from "node:net";
import { afterEach, beforeEach, expect, it } from "vitest";
import {
  connectMptcp,
  isMptcp,
  listenMptcp,
  type MptcpConnection,
  type MptcpEndpoint,
  mptcpConnections,
  MptcpSocket,
} from "../../src/netlink/index.js";
import { connect, TestPair } from "../fixtures/netns.js";
import { Running, xdpctl, xdpctlJson } from "../fixtures/xdpctl.js";

// left and right are joined twice: eth0 (10.77.1.0/24) and eth1 (10.77.2.0/24).
let pair: TestPair;
const open = new Set<{ destroy(): unknown } | { close(): unknown }>();
beforeEach(() => {
  pair = new TestPair();
  connect(pair.left, pair.right, { net: 2, left: "eth1", right: "eth1" });
});
afterEach(() => {
  for (const one of open) "destroy" in one ? one.destroy() : one.close();
  open.clear();
  pair.close();
});

/** A connection from left to right, with both ends; some data each way makes it fully established. */
async function established(host = pair.rightAddress): Promise<{ client: Socket; server: Socket }> {
  let accept: (socket: Socket) => void = () => {};
  const accepted = new Promise<Socket>((resolve) => {
    accept = resolve;
  });
  const { server, port } = await pair.right.run(() => listenMptcp({ host, port: 0 }, (socket) => accept(socket)));
  open.add(server);
  const { socket: client, protocol } = await pair.left.run(() => connectMptcp({ host, port }));
  open.add(client);
  expect(protocol).toBe("mptcp");
  const server_ = await accepted;
  open.add(server_);
  client.write("hello");
  await once(server_, "data");
  server_.write("hello");
  await once(client, "data");
  return { client, server: server_ };
}

const connections = (): MptcpConnection[] =>
  pair.left.run(() => mptcpConnections()).filter((one) => one.state === "established");
async function until(what: string, condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

it("endpoints and limits: added, listed, changed, deleted, refused with the kernel's words", () => {
  const mptcp = (...args: string[]) => xdpctl(pair.left, ["mptcp", ...args]);
  const list = () => xdpctlJson<{ endpoints: MptcpEndpoint[] }>(pair.left, ["mptcp", "endpoint", "ls"]).endpoints;
  expect(mptcp("endpoint", "ls").stdout).toBe("no endpoints\n");
  expect(mptcp("limits", "subflows=4").stdout).toBe("subflows 4  accepted 0\n");
  expect(mptcp("limits", "set", "accepted=2").stdout).toBe("subflows 4  accepted 2\n");
  expect(mptcp("limits", "subflows=9")).toMatchObject({ status: 2 });
  expect(mptcp("limits", "subflow=1")).toMatchObject({ status: 2, stderr: expect.stringContaining("is no limit") });
  expect(mptcp("endpoint", "add", "10.77.2.1", "--dev", "eth1")).toMatchObject({ status: 0, stderr: "" });
  expect(mptcp("endpoint", "add", "fd77:2::1", "--signal", "--id", "9", "--port", "443").status).toBe(0);
  expect(list()).toEqual([
    { id: 1, address: "10.77.2.1", port: 0, index: 21, flags: ["subflow"] },
    { id: 9, address: "fd77:2::1", port: 443, index: 0, flags: ["signal"] },
  ]);
  expect(pair.left.must("ip", "mptcp", "endpoint").trim().split(/ *\n/)).toEqual([
    "10.77.2.1 id 1 subflow dev eth1",
    "fd77:2::1 port 443 id 9 signal",
  ]);
  expect(mptcp("endpoint", "flags", "10.77.2.1", "--backup").stdout).toMatch(/10\.77\.2\.1 +– +eth1 +subflow,backup/);
  expect(mptcp("endpoint", "add", "10.77.2.1").stderr).toMatch(
    /^error: adding the MPTCP endpoint 10\.77\.2\.1: .*(EEXIST|EINVAL).*XDPCTL_E_NETLINK/,
  );
  expect(mptcp("endpoint", "add", "10.77.2.9", "--dev", "eth7")).toMatchObject({ status: 5 });
  expect(mptcp("endpoint", "add", "10.77.2")).toMatchObject({ status: 2 });
  expect(mptcp("endpoint", "add", "10.77.2.1", "--signal", "--fullmesh").stderr).toContain("signal and fullmesh");
  expect(mptcp("endpoint", "del", "10.77.2.2").stderr).toContain("did you mean 10.77.2.1?");
  expect(mptcp("endpoint", "del", "9").stdout).toBe("endpoint 9  fd77:2::1  deleted\n");
  expect(mptcp("endpoint", "flush").stdout).toBe("1 endpoint deleted\n");
  expect(list()).toEqual([]);
});

it("a Node stream has two subflows; status and events show them", async () => {
  const events = Running.xdpctl(pair.left, "mptcp", "events", "--json");
  try {
    expect(xdpctl(pair.left, ["mptcp", "endpoint", "add", "10.77.2.1", "--dev", "eth1"]).status).toBe(0);
    // The listener must hear before there is something to tell.
    await until("the listener", () =>
      pair.left
        .must("cat", "/proc/net/netlink")
        .split("\n")
        .some((line) => /^\S+ +16 +\d+ +0*[1-9a-f]/.test(line)),
    );
    const { client, server } = await established();
    expect([isMptcp(client), isMptcp(server)]).toEqual([true, true]);
    await until("the second subflow", () => connections()[0]?.subflows.length === 2);
    const [connection] = connections();
    expect(connection).toMatchObject({ fallback: false, destination: "10.77.1.2" });
    expect(connection?.subflows.map((one) => [one.source, one.localId, one.index]).sort()).toEqual([
      ["10.77.1.1", 0, 0],
      ["10.77.2.1", 1, 21],
    ]);
    const shown = xdpctl(pair.left, ["mptcp", "status"]).stdout;
    expect(shown).toMatch(/^[0-9a-f]{8} +established +10\.77\.1\.1:\d+ +10\.77\.1\.2:\d+ +–/m);
    expect(shown).toMatch(/^ +established +10\.77\.2\.1:\d+ +10\.77\.1\.2:\d+ +1→0 +eth1 +[\d.]+ms/m);
    expect(shown).toMatch(/^counters: .*MPCapableSYNTX 1.*MPJoinSynTx 1/m);
    pair.left.run(() => {
      using socket = new MptcpSocket();
      socket.deleteEndpoint(1);
    });
    await until("the end of the second subflow", () => connections()[0]?.subflows.length === 1);
    client.destroy();
    await events.sees('"event":"closed"');
    const told = events.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(told.map((one) => one.event)).toEqual(
      expect.arrayContaining(["created", "established", "sub_established", "sub_closed", "closed"]),
    );
    expect(told.find((one) => one.event === "created")).toMatchObject({ server: false, source: "10.77.1.1" });
    expect(told.find((one) => one.event === "sub_established")).toMatchObject({
      ...{ source: "10.77.2.1", destination: "10.77.1.2", localId: 1, index: 21, backup: false },
      token: connection?.token,
    });
  } finally {
    await events.close();
  }
});

it("works over IPv6", async () => {
  await established(pair.rightAddress6);
  expect(connections()[0]).toMatchObject({ source: "fd77:1::1", destination: "fd77:1::2" });
});

it("falls back to TCP, and says so; what fails has a reason", async () => {
  pair.left.must("sysctl", "-qw", "net.mptcp.enabled=0");
  const { server, port } = await pair.right.run(() =>
    listenMptcp({ host: "0.0.0.0", port: 0 }, (one) => open.add(one)),
  );
  open.add(server);
  const stream = await pair.left.run(() => connectMptcp({ host: pair.rightAddress, port }));
  open.add(stream.socket);
  expect(stream).toMatchObject({ protocol: "tcp", reason: "net.mptcp.enabled is 0" });
  expect(isMptcp(stream.socket)).toBe(false);
  await expect(pair.left.run(() => connectMptcp({ host: pair.rightAddress, port: 9 }))).rejects.toThrow(
    "connecting to 10.77.1.2 port 9: connection refused (ECONNREFUSED)",
  );
  await expect(pair.left.run(() => connectMptcp({ host: "10.77.1.9", port: 9, timeout: 200 }))).rejects.toMatchObject({
    code: "XDPCTL_E_TIMEOUT",
  });
  await expect(
    pair.left.run(() => connectMptcp({ host: pair.rightAddress, port, localAddress: "192.0.2.1" })),
  ).rejects.toThrow(/binding to 192\.0\.2\.1: .*EADDRNOTAVAIL/);
  await expect(pair.right.run(() => listenMptcp({ host: pair.rightAddress, port }, () => {}))).rejects.toThrow(
    /EADDRINUSE/,
  );
  const closed = xdpctl(pair.left, ["mptcp", "status"]);
  expect(closed).toMatchObject({ status: 0, stdout: expect.stringMatching(/^MPTCP is off .*\nno MPTCP sockets\n$/) });
});

it("refuses what is no host or port", async () => {
  const usage = { code: "XDPCTL_E_USAGE" };
  await expect(connectMptcp({ host: "", port: 80 })).rejects.toMatchObject(usage);
  for (const port of [-1, 0, 1.5, 70_000, Number.NaN]) {
    await expect(connectMptcp({ host: "127.0.0.1", port })).rejects.toMatchObject(usage);
    if (port !== 0) await expect(listenMptcp({ port }, () => {})).rejects.toMatchObject(usage);
  }
});
