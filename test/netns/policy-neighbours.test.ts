// SPDX-License-Identifier: MIT
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { PolicyStatus } from "../../src/rpc/index.js";
import { TestPair } from "../fixtures/netns.js";
import { Running, xdpctl, xdpctlJson } from "../fixtures/xdpctl.js";

/** What one policy does to the packets of another, and what becomes of those in flight. */

let pair: TestPair;
let folder: string;
const running: Running[] = [];

beforeEach(() => {
  pair = new TestPair();
  folder = mkdtempSync(join(tmpdir(), "xdpctl-neighbours-"));
});

afterEach(async () => {
  for (const process of running.splice(0)) await process.close();
  pair.close();
  rmSync(folder, { recursive: true });
});

function policy(name: string, source: string): string {
  const file = join(folder, name);
  writeFileSync(file, source);
  return file;
}

async function run(...files: string[]): Promise<Running> {
  const process = Running.xdpctl(pair.left, "run", "guard", "eth0", ...files.flatMap((file) => ["--policy", file]));
  running.push(process);
  await process.sees(/^\S+ +running +hooks packet/m);
  return process;
}

const states = (): PolicyStatus[] => xdpctlJson<{ policies: PolicyStatus[] }>(pair.left, ["policy", "ls"]).policies;
const state = (name: string): PolicyStatus => states().find((one) => one.name === name) as PolicyStatus;

/** Sends `n` datagrams from the right in one go. */
function burst(port: number, n: number, size = 8): void {
  pair.right.must(
    process.execPath,
    "-e",
    `const s = require("node:dgram").createSocket("udp4");
     const b = Buffer.alloc(${size});
     let left = ${n};
     s.connect(${port}, "${pair.leftAddress}", () => {
       for (let i = 0; i < ${n}; i++) s.send(b, () => { if (--left === 0) process.exit(); });
     });
     s.on("error", () => {});`,
  );
}

/** Datagrams that came to a port of the left side where nobody listens: the kernel counts them. */
function arrived(): number {
  const text = pair.left.must("cat", "/proc/net/snmp");
  const [names = "", values = ""] = text.split("\n").filter((line) => line.startsWith("Udp:"));
  return Number(values.split(" ")[names.split(" ").indexOf("NoPorts")]);
}

const ask = (port: number, text: string): string =>
  pair.right
    .must(
      process.execPath,
      "-e",
      `const s = require("node:dgram").createSocket("udp4");
       s.on("message", (m) => { console.log(String(m)); process.exit(); });
       s.on("error", () => { console.log("refused"); process.exit(); });
       s.connect(${port}, "${pair.leftAddress}", () => s.send("${text}"));
       setTimeout(() => { console.log("nothing"); process.exit(); }, 1000);`,
    )
    .trim();

const SLOW = `on("packet", { protocol = "udp", port = 9999, on_error = args.on_error }, function(p)
  local t = now() while now() - t < 0.01 do end
end)`;
const ANSWER = 'on("packet", { protocol = "udp", port = 9 }, function(p) return p:udp_reply("here") end)';

it("a policy that failed drops what it asked for, and only that", async () => {
  const failing = policy(
    "failing.lua",
    `on("packet", { protocol = "udp", port = 81, on_error = "drop" }, function() end)
     on("packet", { protocol = "udp", port = 82 }, function() end)
     every(0.1, function() local all = {} while true do all[#all + 1] = ("x"):rep(100000) .. #all end end)`,
  );
  await run(failing, policy("answer.lua", ANSWER));
  await expect.poll(() => state("failing").state, { timeout: 20_000 }).toBe("failed");
  expect(ask(9, "x")).toBe("here");
  expect(state("answer").calls).toBe(1);
  expect([ask(81, "x"), ask(82, "x")]).toEqual(["nothing", "refused"]);
}, 40_000);

it("a slow policy leaves the packets alone that it did not ask for", async () => {
  await run(policy("slow.lua", SLOW), policy("answer.lua", ANSWER));
  burst(9999, 400);
  expect(ask(9, "x")).toBe("here");
});

it.each([
  ["policy unload", SLOW, ["policy", "unload", "slow"]],
  ["unload", SLOW, ["unload", "eth0"]],
  [
    "stop",
    SLOW.replace("local t", "if hook then stop(hook) hook = nil end local t").replace("on(", "hook = on("),
    undefined,
  ],
])("%s passes on what is in flight", async (_, source, command) => {
  await run(policy("slow.lua", source));
  burst(9999, 300);
  if (command !== undefined) expect(xdpctl(pair.left, command)).toMatchObject({ status: 0 });
  await expect.poll(arrived, { timeout: 5000 }).toBe(300);
});

it("what the socket had no room for is lost, and counted", async () => {
  await run(policy("slow.lua", SLOW.replace("0.01", "0.001").replace(/end\)$/, 'return "drop" end)')));
  burst(9999, 4000);
  const { interfaces } = xdpctlJson<{ interfaces: { counters: { redirect: { packets: number } } }[] }>(pair.left, [
    "status",
  ]);
  const seen = (): number => state("slow").calls + state("slow").lost;
  await expect.poll(seen, { timeout: 10_000 }).toBe(interfaces[0]?.counters.redirect.packets);
  expect(state("slow").lost).toBeGreaterThan(0);
}, 20_000);

it("a reply beyond the MTU is lost: the log and the count say so", async () => {
  const policies = await run(
    policy(
      "long.lua",
      'on("packet", { protocol = "udp", port = 9 }, function(p) return p:udp_reply(("x"):rep(args[1] or 2500)) end)',
    ),
  );
  expect(ask(9, "x")).toBe("nothing");
  await policies.sees(/long +policy +log +eth0: replies can't be sent: they are longer than its MTU allows/);
  expect(state("long")).toMatchObject({ calls: 1, lost: 1 });
  await policies.sees("long  lost  1 event or packet (policy)");
  for (const side of [pair.left, pair.right]) side.must("ip", "link", "set", "eth0", "mtu", "3000");
  await expect.poll(() => ask(9, "x"), { timeout: 5000 }).toBe("x".repeat(2500));
});
