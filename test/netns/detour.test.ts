// SPDX-License-Identifier: MIT
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { deploy, destroy, type Lab, readLab } from "../../src/lab/index.js";
import { mptcpConnections } from "../../src/netlink/index.js";
import { encodeMproxy } from "../../src/packet/index.js";
import { Running, XDPCTL } from "../fixtures/xdpctl.js";

const NAME = `d${process.pid}`;
const DETOUR = "10.9.0.30";
const SERVER = "10.9.0.10";
let lab: Lab;
const running = new Set<Running>();

function start(node: string, ...argv: string[]): Running {
  const one = new Running(["ip", "netns", "exec", `${NAME}-${node}`, ...argv]);
  running.add(one);
  return one;
}
const xdpctl = (node: string, ...args: string[]): Running => start(node, ...XDPCTL, "mptcp", "detour", ...args);
const rules = async (): Promise<string> => (await start("detour", "nft", "list", "ruleset").ended()).stdout;
const forwards = async (): Promise<string> =>
  (await start("detour", "cat", "/proc/sys/net/ipv4/ip_forward").ended()).stdout.trim();
const ask = async (remote: string, ...more: string[]): Promise<number> => {
  const { stdout, stderr } = await xdpctl("client", "request", DETOUR, remote, "--json", ...more).ended();
  if (stdout === "") throw new Error(stderr);
  return (JSON.parse(stdout) as { port: number }).port;
};
async function serving(...args: string[]): Promise<Running> {
  const one = xdpctl("detour", "serve", ...args);
  await until("the detour server", () => one.stderr.includes("Ctrl-C"));
  return one;
}
async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

describe("a detour", () => {
  beforeAll(() => {
    lab = deploy(readLab("labs/mptcp.lab.yml"), { name: NAME });
  });
  afterEach(async () => {
    for (const one of running) await one.close();
    running.clear();
  });
  afterAll(() => destroy(NAME));

  it("has two rules, answers the same question the same way, and leaves nothing behind", async () => {
    const server = await serving();
    expect(await ask(`${SERVER}:80`, "--want", "80")).toBe(80);
    expect(await ask(`${SERVER}:80`, "--want", "81")).toBe(80);
    expect(await ask(`${SERVER}:81`, "--want", "80")).toBeGreaterThanOrEqual(49_152);
    expect(await ask(`${SERVER}:82`)).toBeGreaterThanOrEqual(49_152);
    const table = await rules();
    expect(table).toContain("ip saddr 10.1.0.10 fib daddr type local tcp dport 80 dnat to 10.9.0.10:80");
    expect(table).toContain("ip saddr 10.1.0.10 ip daddr 10.9.0.10 tcp dport 80 ct status dnat masquerade");
    expect(table.match(/dnat to/g)).toHaveLength(3);
    expect(await forwards()).toBe("1");
    expect(server.stdout).toMatch(/ADD {3}10\.1\.0\.10 to 10\.9\.0\.10:80 via 80 \(80\)\n.*ECHO {2}.* via 80 \(81\)/);
    const second = await xdpctl("detour", "serve", "--port", "45673").ended();
    expect(second).toMatchObject({ status: 6, stderr: expect.stringContaining("XDPCTL_E_OCCUPIED") });
    server.signal("SIGTERM");
    await server.ended();
    expect(server.stderr).toContain("3 detours ended; 4 requests, 0 of them ignored");
    expect(await rules()).toBe("");
    expect(await forwards()).toBe("0");
  });

  it("has no rules any more after kill -9, and ignores what is no request", async () => {
    const server = await serving("--json");
    const good = encodeMproxy({ op: "request", address: SERVER, port: 80, detourPort: 0 });
    const other = (at: number, value: number): Buffer => Buffer.from(good.map((byte, i) => (i === at ? value : byte)));
    const response = other(1, 1);
    const bad = [Buffer.alloc(0), good.subarray(1), Buffer.concat([good, good]), other(0, 2), other(1, 7), response];
    const all = [...bad, other(4, 127), other(4, 224), other(4, 0), good].map((bytes) => bytes.toString("hex"));
    const program = `
      const socket = require("node:dgram").createSocket("udp4");
      for (const hex of process.argv.slice(1)) socket.send(Buffer.from(hex, "hex"), 45672, "${DETOUR}");
      socket.on("message", (bytes) => { console.log(bytes.toString("hex")); socket.close(); });`;
    const answer = await start("client", process.execPath, "-e", program, "--", ...all).ended();
    expect(answer.stdout.slice(0, 20)).toBe(response.toString("hex").slice(0, 20));
    expect(server.stdout.trim().split("\n")).toHaveLength(1);
    expect(JSON.parse(server.stdout)).toMatchObject({
      action: "add",
      client: "10.1.0.10",
      remotePort: 80,
      proposed: 0,
    });
    expect((await rules()).match(/dnat to/g)).toHaveLength(1);
    server.signal("SIGKILL");
    await server.ended();
    expect(await rules()).toBe("");
    const away = await xdpctl(
      "client",
      "request",
      "255.255.255.255",
      `${SERVER}:80`,
      "--timeout",
      "500ms",
      "--want",
      "0",
    ).ended();
    expect(away.stderr).toMatch(/EACCES.*XDPCTL_E_SYSCALL/);
    const nobody = await xdpctl("client", "request", DETOUR, `${SERVER}:80`, "--timeout", "500ms").ended();
    expect(nobody).toMatchObject({ status: 8, stderr: expect.stringContaining("no answer in 0.5 s") });
  });

  it("carries a subflow of a connection that knows nothing of it", { timeout: 30_000 }, async () => {
    const server = start("server", process.execPath, "examples/mptcp/server.mjs");
    await server.sees("listening");
    await serving();
    const client = xdpctl("client", "run", DETOUR, "--from", "10.2.0.10", "--dev", "eth1");
    await until("the client's part", () => client.stderr.includes("Ctrl-C"));
    const sender = start("client", process.execPath, "examples/mptcp/client.mjs", SERVER, "7000", "6");
    await client.sees(`${SERVER}:7000 through ${DETOUR}:`);
    const port = Number(/through [\d.]+:(\d+)/.exec(client.stdout)?.[1]);
    const subflows = (node: string) =>
      lab
        .inside(node, () => mptcpConnections())
        .filter((one) => one.state === "established")
        .flatMap((one) => one.subflows);
    await until("data through the detour", () =>
      subflows("client").some((one) => one.destination === DETOUR && one.bytesAcked > 500_000),
    );
    expect(subflows("client").map((one) => [one.source, one.destination, one.destinationPort])).toEqual(
      expect.arrayContaining([
        ["10.1.0.10", SERVER, 7000],
        ["10.2.0.10", DETOUR, port],
      ]),
    );
    // The server sees the detour.
    expect(new Set(subflows("server").map((one) => one.destination))).toEqual(new Set(["10.1.0.10", DETOUR]));
    expect((await sender.ended()).stdout).toContain("at most 2 subflows: every byte arrived");
    // Who ends first would give the path manager back to the kernel.
    const second = await xdpctl("client", "run", DETOUR).ended();
    expect(second).toMatchObject({ status: 6, stderr: expect.stringContaining("XDPCTL_E_OCCUPIED") });
    const listed = await start("client", ...XDPCTL, "mptcp", "endpoint", "ls").ended();
    expect(listed.stdout).toContain("path manager: user space (net.mptcp.pm_type=1)");
    client.signal("SIGINT");
    await client.ended();
    expect((await start("client", "cat", "/proc/sys/net/mptcp/pm_type").ended()).stdout).toBe("0\n");
  });

  it("is chosen by a Lua policy, which gets no more than its time", { timeout: 30_000 }, async () => {
    const run = (file: string) => xdpctl("client", "run", DETOUR, "10.9.0.31", "--json", "--policy", file);
    const folder = mkdtempSync(join(tmpdir(), "xdpctl-detour-"));
    try {
      const file = join(folder, "d.lua");
      const of = async (text: string): Promise<string> => {
        writeFileSync(file, text);
        return (await run(file).ended()).stderr;
      };
      expect(await of("x = = 1")).toContain("XDPCTL_E_LUA_SYNTAX");
      expect(await of("x = 1")).toContain("has no function `choose`");
      expect((await run("/nonexistent.lua").ended()).stderr).toContain("XDPCTL_E_NO_FILE");
      await serving();
      const server = start("server", process.execPath, "examples/mptcp/server.mjs", "0");
      const port = Number(/port (\d+)/.exec(await server.sees(/port \d+/))?.[1]);
      writeFileSync(
        file,
        `local n = 0
         function choose(remote, port, source, near, far)
           n = n + 1
           if n == 1 and remote == "${SERVER}" and port == ${port} and source == "10.1.0.10" then return near end
           if n == 2 then return end
           if n == 3 then return "192.0.2.1" end
           while true do end
         end`,
      );
      const client = run(file);
      await until("the client's part", () => client.stderr.includes("Ctrl-C"));
      const transfer = async (megabytes = 1): Promise<void> => {
        const args = ["examples/mptcp/client.mjs", SERVER, String(port), String(megabytes)];
        expect(await start("client", process.execPath, ...args).ended()).toMatchObject({ status: 0 });
      };
      await transfer(3);
      await transfer();
      await transfer();
      await client.sees("192.0.2.1, which is none of the detours");
      const told = client.stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as Record<string, unknown>);
      expect(told).toMatchObject([
        { detour: DETOUR, remote: SERVER, remotePort: port, port: expect.any(Number) },
        { detour: null, port: null, error: { code: "XDPCTL_E_LUA_RUNTIME" } },
      ]);
      await transfer();
      await client.sees("XDPCTL_E_LUA_TIMEOUT");
      // After that the script starts anew: this is its first connection again.
      const from = client.stdout.length;
      await transfer(3);
      await client.sees(`"detour":"${DETOUR}"`, from);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
