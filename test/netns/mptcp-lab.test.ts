// SPDX-License-Identifier: MIT
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { deploy, destroy, type Lab, readLab } from "../../src/lab/index.js";
import { type MptcpConnection, mptcpConnections, MptcpSocket, openRoute } from "../../src/netlink/index.js";
import { Running } from "../fixtures/xdpctl.js";

const NAME = `m${process.pid}`;
let lab: Lab;
let server: Running;

const start = (node: string, ...args: string[]): Running =>
  new Running(["ip", "netns", "exec", `${NAME}-${node}`, process.execPath, ...args]);
const SERVER = "10.9.0.10";
const client = (megabytes: number): Running =>
  start("client", "examples/mptcp/client.mjs", SERVER, "7000", String(megabytes));
const connection = (): MptcpConnection | undefined =>
  lab.inside("client", () => mptcpConnections()).find((one) => one.state === "established");

/** What the server says of one transfer: its rate in Mbit/s. */
async function transfer(megabytes: number): Promise<{ rate: number; said: string }> {
  const from = server.stdout.length;
  const sender = client(megabytes);
  const { status, stdout, stderr } = await sender.ended();
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(stdout).toContain("every byte arrived");
  const line = await server.sees(/\n/, from);
  expect(line).toContain(`mptcp: ${megabytes * 2 ** 20} bytes`);
  return { rate: Number(/([\d.]+) Mbit/.exec(line)?.[1]), said: stdout };
}

async function until(what: string, condition: () => boolean, ms = 10_000): Promise<void> {
  const deadline = Date.now() + ms;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

describe("labs/mptcp.lab.yml", () => {
  beforeAll(async () => {
    lab = deploy(readLab("labs/mptcp.lab.yml"), { name: NAME });
    server = start("server", "examples/mptcp/server.mjs");
    await server.sees("listening on port 7000 (mptcp)");
  });
  afterAll(async () => {
    await server.close();
    destroy(NAME);
  });

  it("gives the client its endpoint and limits, and converges on them", () => {
    const inClient = <T>(body: (socket: MptcpSocket) => T): T =>
      lab.inside("client", () => {
        using socket = new MptcpSocket();
        return body(socket);
      });
    const read = () => inClient((socket) => ({ limits: socket.limits(), endpoints: socket.endpoints() }));
    const wanted = { limits: { subflows: 2, accepted: 2 }, endpoints: [{ address: "10.2.0.10", flags: ["subflow"] }] };
    expect(read()).toMatchObject(wanted);
    inClient((socket) => {
      socket.flushEndpoints();
      socket.addEndpoint({ address: "10.2.0.10", flags: ["backup"] });
      socket.addEndpoint({ address: "192.0.2.1", flags: ["signal"] });
      socket.setLimits({ subflows: 8 });
    });
    lab = deploy(readLab("labs/mptcp.lab.yml"), { name: NAME });
    expect(read().limits).toEqual(wanted.limits);
    // What was added by hand stays.
    expect(
      read()
        .endpoints.map((one) => `${one.address} ${one.flags}`)
        .sort(),
    ).toEqual(["10.2.0.10 subflow", "192.0.2.1 signal"]);
    inClient((socket) =>
      socket.deleteEndpoint(socket.endpoints().find((one) => one.flags.includes("signal"))?.id ?? 0),
    );
  });

  it("carries more than 1.6 times as much over two paths as over one", { timeout: 60_000 }, async () => {
    const ratios: number[] = [];
    // Other work on the machine may spoil one try, not each.
    while (ratios.length < 3 && !ratios.some((ratio) => ratio > 1.6)) {
      const two = await transfer(6);
      expect(two.said).toContain("at most 2 subflows");
      lab.inside("client", () => {
        using socket = new MptcpSocket();
        socket.flushEndpoints();
      });
      const one = await transfer(3);
      expect(one.said).toContain("at most 1 subflows");
      expect(one.rate).toBeLessThan(20);
      lab = deploy(readLab("labs/mptcp.lab.yml"), { name: NAME });
      ratios.push(two.rate / one.rate);
    }
    expect(Math.max(...ratios)).toBeGreaterThan(1.6);
  });

  it("loses nothing when the first path is cut in the middle", { timeout: 60_000 }, async () => {
    const from = server.stdout.length;
    const sender = client(6);
    try {
      await until("data on both paths", () => {
        const subflows = connection()?.subflows ?? [];
        return subflows.length === 2 && subflows.every((one) => one.bytesAcked > 300_000);
      });
      lab.inside("r1", () => {
        using route = openRoute();
        route.setLink(route.link("eth0")?.index ?? 0, { up: false });
      });
      const { status, stdout } = await sender.ended();
      expect({ status, stdout }).toEqual({ status: 0, stdout: "mptcp, at most 2 subflows: every byte arrived\n" });
      expect(await server.sees(/\n/, from)).toContain(`mptcp: ${6 * 2 ** 20} bytes`);
    } finally {
      await sender.close();
    }
  });
});
