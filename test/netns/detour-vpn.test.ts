// SPDX-License-Identifier: MIT
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { deploy, destroy, type Lab, readLab } from "../../src/lab/index.js";
import { mptcpConnections } from "../../src/netlink/index.js";
import { hasTool, needs } from "../fixtures/needs.js";
import { Running, XDPCTL } from "../fixtures/xdpctl.js";

const NAME = `v${process.pid}`;
const VPN = "vpn:10.0.5.2";
const SERVER = "10.0.3.2";
const folder = mkdtempSync(join(tmpdir(), "xdpctl-detour-vpn-"));
const KEY = join(folder, "vpn.key");
let lab: Lab;
const running = new Set<Running>();

function start(node: string, ...argv: string[]): Running {
  const one = new Running(["ip", "netns", "exec", `${NAME}-${node}`, ...argv]);
  running.add(one);
  return one;
}
const detour = (node: string, ...args: string[]): Running => start(node, ...XDPCTL, "mptcp", "detour", ...args);
const run = (...args: string[]): Running => detour("client", "run", ...args, "--json", "--timeout", "10s");
const said = async (node: string, ...argv: string[]): Promise<string> => (await start(node, ...argv).ended()).stdout;
const interfaces = (node: string): Promise<string> => said(node, "ip", "-br", "address");

async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 15_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
async function ready(one: Running): Promise<Running> {
  await until("Ctrl-C ends", () => {
    if (one.child.exitCode !== null) throw new Error(one.stderr);
    return one.stderr.includes("Ctrl-C");
  });
  return one;
}
const serving = (...args: string[]): Promise<Running> =>
  ready(detour("detour", "serve", "--json", "--vpn", "10.8.0.0/24", "--vpn-key", KEY, ...args));
const subflows = (node: string) =>
  lab
    .inside(node, () => mptcpConnections())
    .filter((one) => one.state === "established")
    .flatMap((one) => one.subflows);
const json = (text: string) =>
  text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);

const works = hasTool("openvpn") && hasTool("openssl") && existsSync("/dev/net/tun");

describe("a detour by OpenVPN", () => {
  beforeEach((context) => needs(context, works, "openvpn, openssl and /dev/net/tun"));
  beforeAll(async () => {
    if (!works) return;
    lab = deploy(readLab("labs/detour.lab.yml"), { name: NAME });
    expect(await detour("client", "key", KEY).ended()).toMatchObject({ status: 0 });
  });
  afterEach(async () => {
    for (const one of running) await one.close();
    running.clear();
  });
  afterAll(() => {
    if (works) destroy(NAME);
    rmSync(folder, { recursive: true });
    expect(readdirSync(tmpdir()).filter((name) => name.startsWith("xdpctl-vpn-"))).toEqual([]);
  });

  it("has a key that only its owner reads, and that is not written over", async () => {
    expect(statSync(KEY).mode & 0o777).toBe(0o600);
    expect(await detour("client", "key", KEY).ended()).toMatchObject({ status: 6 });
    const other = join(folder, "no.key");
    writeFileSync(other, "-----BEGIN PRIVATE KEY-----\n");
    const refusals: [string[], number, string][] = [
      [["run", VPN], 2, "a VPN needs its key"],
      [["run", VPN, "--vpn-key", other], 2, "is no key of a VPN"],
      [["run", VPN, "--vpn-key", "/nonexistent"], 5, "XDPCTL_E_NO_FILE"],
      [["run", "vpn:server", "--vpn-key", KEY], 2, "is no detour"],
      [["serve", "--vpn", "10.8.0.0/24"], 2, "a VPN needs its key"],
      [["serve", "--vpn", "10.8.0.1/24", "--vpn-key", KEY], 2, "the network is 10.8.0.0/24"],
      [["serve", "--vpn", "10.8.0.0/8", "--vpn-key", KEY], 2, "is no network of a VPN"],
    ];
    for (const [args, status, text] of refusals) {
      expect(await detour("client", ...args).ended()).toMatchObject({ status, stderr: expect.stringContaining(text) });
    }
  });

  it("carries a subflow, and loses nothing when it ends in the middle", { timeout: 40_000 }, async () => {
    const server = start("server", process.execPath, "examples/mptcp/server.mjs");
    await server.sees("listening");
    const vpn = await serving();
    const client = await ready(run(VPN, "--vpn-key", KEY));
    expect(await said("client", "ip", "route", "show", "default")).toMatch(
      /default via 10\.0\.1\.1 .*\ndefault via 10\.8\.0\.1 dev tun\d+ metric 1000/,
    );
    expect(await said("detour", "nft", "list", "ruleset")).toContain("ip saddr 10.8.0.0/24 masquerade");
    const sender = start("client", process.execPath, "examples/mptcp/client.mjs", SERVER, "7000", "6");
    await until("data on both paths", () => {
      const all = subflows("client");
      return all.length === 2 && all.every((one) => one.bytesAcked > 500_000);
    });
    const address = json(client.stdout)[0]?.address as string;
    expect(address).toMatch(/^10\.8\.0\.\d+$/);
    expect(subflows("client").map((one) => [one.source, one.destination, one.destinationPort])).toEqual(
      expect.arrayContaining([
        ["10.0.1.2", SERVER, 7000],
        [address, SERVER, 7000],
      ]),
    );
    // The server sees the detour, and knows nothing of a VPN.
    expect(new Set(subflows("server").map((one) => one.destination))).toEqual(new Set(["10.0.1.2", "10.0.5.2"]));
    client.signal("SIGINT");
    expect(await client.ended()).toMatchObject({ status: 0 });
    expect(subflows("client").map((one) => one.source)).toEqual(["10.0.1.2"]);
    expect((await sender.ended()).stdout).toContain("at most 2 subflows: every byte arrived");
    expect(json(client.stdout)).toMatchObject([
      { type: "vpn", detour: VPN, state: "up", address },
      { type: "detour", detour: VPN, remote: SERVER, remotePort: 7000, port: null },
      { type: "vpn", detour: VPN, state: "down" },
    ]);
    await vpn.sees('"state":"down"');
    vpn.signal("SIGTERM");
    await vpn.ended();
    expect(json(vpn.stdout)).toMatchObject([
      { type: "vpn", client: "10.0.1.2", address, state: "up" },
      { type: "vpn", client: "10.0.1.2", address, state: "down" },
    ]);
    expect((await interfaces("client")) + (await interfaces("detour"))).not.toContain("tun");
    expect(await said("detour", "nft", "list", "ruleset")).toBe("");
    expect(await said("client", "cat", "/proc/sys/net/mptcp/pm_type")).toBe("0\n");
  });

  it("serves beside NAT, in the clear where both sides want that, to a policy's choice", {
    timeout: 40_000,
  }, async () => {
    const server = start("server", process.execPath, "examples/mptcp/server.mjs");
    await server.sees("listening");
    await serving("--vpn-clear");
    const policy = join(folder, "d.lua");
    writeFileSync(policy, `function choose(remote, port, source, ...) if n then return (...) end n = 1 return ... end`);
    const client = await ready(run("10.0.5.2", VPN, "--vpn-key", KEY, "--vpn-clear", "--policy", policy));
    const transfer = async (): Promise<string> =>
      (await start("client", process.execPath, "examples/mptcp/client.mjs", SERVER, "7000", "2").ended()).stdout;
    expect(await transfer()).toContain("at most 3 subflows: every byte arrived");
    expect(await transfer()).toContain("at most 2 subflows: every byte arrived");
    await until("both connections", () => json(client.stdout).length === 4);
    const names = json(client.stdout).map((one) => one.detour);
    expect(names).toEqual([VPN, VPN, "10.0.5.2", "10.0.5.2"]);
  });

  it("goes with kill -9 of either side, and comes back when the other side does", { timeout: 40_000 }, async () => {
    const vpn = await serving();
    const client = await ready(run(VPN, "--vpn-key", KEY));
    vpn.signal("SIGKILL");
    await vpn.ended();
    await until("the end of the detour's tunnel", async () => !(await interfaces("detour")).includes("tun"));
    expect(await said("detour", "nft", "list", "ruleset")).toBe("");
    await client.sees('"state":"down"');
    await serving();
    await client.sees(/"state":"down".*\n.*"state":"up"/);
    client.signal("SIGKILL");
    await client.ended();
    await until("the end of the client's tunnel", async () => !(await interfaces("client")).includes("tun"));
    await said("client", "sysctl", "-qw", "net.mptcp.pm_type=0");
  });

  it("says why there is none: another key, nobody there, and a port that is taken", { timeout: 40_000 }, async () => {
    const other = join(folder, "other.key");
    await detour("client", "key", other).ended();
    await serving();
    const second = detour("detour", "serve", "--port", "45673", "--vpn", "10.9.0.0/24", "--vpn-key", KEY);
    expect((await second.ended()).stderr).toContain("XDPCTL_E_OCCUPIED");
    const refused = await detour("client", "run", VPN, "--vpn-key", other, "--timeout", "1s").ended();
    expect(refused).toMatchObject({
      status: 8,
      stderr: expect.stringMatching(/no VPN with it after 1 s.*XDPCTL_E_TIMEOUT/),
    });
    const taken = await start(
      "client",
      ...XDPCTL,
      ..."mptcp detour run vpn:10.0.5.2:1 --timeout 1s --vpn-key".split(" "),
      KEY,
    ).ended();
    expect(taken).toMatchObject({ status: 8, stderr: expect.stringContaining("XDPCTL_E_TIMEOUT") });
    const clear = await detour("client", "run", VPN, "--vpn-key", KEY, "--vpn-clear").ended();
    expect(clear).toMatchObject({ status: 4, stderr: expect.stringMatching(/no shared cipher.*\n.*--vpn-clear/) });
    expect(await interfaces("client")).not.toContain("tun");
  });
});

describe("examples/mptcp/experiment.mjs", () => {
  it("finds that a VPN goes round a bottleneck", { timeout: 60_000 }, async (context) => {
    needs(context, works, "openvpn, openssl and /dev/net/tun");
    const measure = "--params easy --setups control,vpn --seconds 2 --json".split(" ");
    const one = new Running([process.execPath, "examples/mptcp/experiment.mjs", ...measure]);
    running.add(one);
    const { status, stdout, stderr } = await one.ended();
    expect(status, stderr).toBe(0);
    const { cells } = JSON.parse(stdout) as { cells: { setup: string; mbits: number }[] };
    expect(cells.map((cell) => cell.setup)).toEqual(["control", "vpn"]);
    const [control = 0, vpn = 0] = cells.map((cell) => cell.mbits);
    expect(control).toBeLessThan(10);
    // Twice as much where nothing else has the processors.
    expect(vpn / control).toBeGreaterThan(1.3);
  });
});
