// SPDX-License-Identifier: MIT
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { EthtoolSocket, openRoute } from "../../src/netlink/index.js";
import type { PolicyStatus } from "../../src/rpc/index.js";
import { TestPair } from "../fixtures/netns.js";
import { Running, xdpctl, xdpctlJson } from "../fixtures/xdpctl.js";

let pair: TestPair;
let folder: string;
const running: Running[] = [];

beforeEach(() => {
  pair = new TestPair();
  folder = mkdtempSync(join(tmpdir(), "xdpctl-genl-"));
});

afterEach(async () => {
  for (const process of running.splice(0)) await process.close();
  pair.close();
  rmSync(folder, { recursive: true });
});

const cli = (...args: string[]) => xdpctl(pair.left, args);
const policies = (): PolicyStatus[] => xdpctlJson<{ policies: PolicyStatus[] }>(pair.left, ["policy", "ls"]).policies;

async function controller(file: string, ...args: string[]): Promise<Running> {
  const run = Running.xdpctl(pair.left, "run", "pass", "eth0", "--policy", file, ...args);
  running.push(run);
  await run.sees(/ {2}running {2}hooks /);
  return run;
}

function script(name: string, source: string): string {
  const file = join(folder, name);
  writeFileSync(file, source);
  return file;
}

/** Turns an offload of eth0 on and off, so many times; the last is `last`. */
function toggle(times: number, last: boolean, feature = "rx-gro"): void {
  pair.left.run(() => {
    const route = openRoute();
    const ethtool = new EthtoolSocket();
    const index = route.link("eth0")?.index ?? 0;
    for (let left = times; left > 0; left--) ethtool.setFeatures([index], { [feature]: (left % 2 === 1) === last });
    ethtool.close();
    route.close();
  });
}

/** How many sockets of generic netlink a process has. */
function genericSockets(process: Running): number {
  const folder = `/proc/${process.child.pid}`;
  const open = new Set(readdirSync(`${folder}/fd`).map((fd) => readlinkSync(`${folder}/fd/${fd}`)));
  const lines = readFileSync(`${folder}/net/netlink`, "utf8").split("\n");
  const generic = lines.map((line) => line.trim().split(/\s+/)).filter((fields) => fields[1] === "16");
  return generic.filter((fields) => open.has(`socket:[${fields[9]}]`)).length;
}

it("hears what real families multicast: ethtool's changes, netdev's interfaces, of this namespace alone", async () => {
  const source = `
    on("genl", "ethtool", "monitor", function(e)
      log("ethtool %d v%d %s", e.command, e.version, e.attributes:nested(1):string(2))
    end)
    on("genl", "netdev", "mgmt", function(e) log("netdev %d ifindex %d %s", e.command, e.attributes:u32(1), now() - e.time < 1) end)
    on("genl", "nlctrl", "notify", function() end)
    on("genl", "ECHO", "events", function() end)`;
  const run = await controller(script("hear.lua", source));
  await run.sees("hear  policy  log  there is no family ECHO: the hook waits for it");
  toggle(3, true);
  await run.sees(/hear {2}policy {2}log {2}ethtool 13 v1 eth0[\s\S]*ethtool 13 v1 eth0/);
  pair.left.must("ip", "link", "add", "br7", "index", "4711", "type", "bridge");
  await run.sees("netdev 2 ifindex 4711 true");
  pair.left.must("ip", "link", "delete", "br7");
  await run.sees("netdev 3 ifindex 4711 true");
  pair.right.must("ip", "link", "add", "br8", "index", "4712", "type", "bridge");
  toggle(1, false);
  await run.sees(/(?:ethtool 13[\s\S]*){3}/);
  expect(run.stdout).not.toContain("4712");
  const hooks = ["genl:ethtool/monitor", "genl:netdev/mgmt", "genl:nlctrl/notify", "genl:ECHO/events"];
  expect(policies()).toMatchObject([{ name: "hear", hooks, lost: 0, lastError: null }]);
});

it("asks, and gets answers or the kernel's own words; what changes the system takes --genl", async () => {
  const source = `
    genl.call("nlctrl", 3, { { 2, "ethtool" } }, function(answers) log("version %d", answers[1].attributes:u32(3)) end)
    genl.dump("netdev", 1, nil, function(answers) log("%d interfaces", #answers) end)
    genl.call("netdev", 1, { { 1, 9999 } }, function(answers, problem) log("%s %s %d", answers, problem, problem.errno) end)
    genl.call("nope", 1, nil, function(answers, problem) log("%s", problem.code) end)
    genl.call("ethtool", 11, { { 1, { { 2, "eth9" } } } }, function(answers, problem) log("%s", problem.kernel) end)
    genl.call("ethtool", 12, { { 1, { { 2, "eth0" } } } }, function(answers, problem) log("set: %s", problem) end)`;
  const file = script("ask.lua", source);
  const run = await controller(file);
  await run.sees(/log {2}version 1\n/);
  await run.sees(/log {2}2 interfaces\n/);
  await run.sees(/log {2}nil netdev command 1: .*\(ENODEV\) 19\n/);
  await run.sees("log  XDPCTL_E_NO_FAMILY");
  await run.sees("log  no device matches name");
  await run.sees("log  set: ethtool command 12 changes the system: this policy may not call it");
  const from = run.stdout.length;
  expect(cli("policy", "load", file, "--genl", "ethtool")).toMatchObject({ status: 0, stderr: "" });
  // Allowed, and so it is the kernel that says what is missing.
  await run.sees(/log {2}set: .*\(EINVAL\)/, from);
  expect(policies()).toMatchObject([{ name: "ask", genl: ["ethtool"] }]);
  expect(cli("policy", "reload", "ask").status).toBe(0);
  expect(policies()).toMatchObject([{ name: "ask", genl: ["ethtool"] }]);
});

it("an overrun of the kernel's queue is told, and the hook goes on", async () => {
  const source = `
    local n = 0
    on("genl", "ethtool", "monitor", function(e) n = n + 1 end, function(what) log("%s", what) end)
    every(0.05, function() if n > 0 then log("heard") n = 0 end end)`;
  const run = await controller(script("slow.lua", source));
  run.signal("SIGSTOP");
  toggle(20000, true);
  run.signal("SIGCONT");
  await run.sees(/ethtool\/monitor {2}lost {2}1 event \(netlink\)/);
  await run.sees("slow  policy  log  lost");
  await run.sees("slow  policy  log  heard");
  await new Promise((resolve) => setTimeout(resolve, 300));
  const from = run.stdout.length;
  toggle(1, false);
  await run.sees("slow  policy  log  heard", from);
  expect(policies()).toMatchObject([{ name: "slow", state: "running", lastError: null }]);
});

it("ends with the policy, and works in the REPL's Lua, which is a person's", async () => {
  const repl = Running.xdpctl(pair.left, "repl");
  running.push(repl);
  repl.write(`on("genl", "ethtool", "monitor", function(e) print("changed", e.attributes:nested(1):string(2)) end)\n`);
  repl.write("print('set')\n");
  await repl.sees("set");
  toggle(2, true);
  await repl.sees("changed\teth0");
  repl.write(`genl.families(function(list) print(#list > 3) end)\n`);
  await repl.sees(/^true$/m);
  repl.write(`genl.call("ethtool", 12, nil, function(a, problem) print(problem.code) end)\n`);
  await repl.sees("XDPCTL_E_NETLINK");
  // The process's own socket, that of nlctrl, that of the group.
  expect(genericSockets(repl)).toBe(3);
  repl.write(`policy load ${script("more.lua", 'on("genl", "netdev", "mgmt", print)')}\n`);
  await repl.sees("more  running");
  expect(genericSockets(repl)).toBe(4);
  repl.write("policy unload more\n");
  await repl.sees("more  unloaded");
  expect(genericSockets(repl)).toBe(3);
  repl.child.stdin?.end();
  expect(await repl.ended()).toMatchObject({ status: 0, stderr: "" });
});

it("genl-watch names the offloads that change, and puts back those that are to stay", async () => {
  const run = await controller("examples/policies/genl-watch.lua");
  toggle(1, false, "rx-gro");
  toggle(1, true, "rx-gro");
  await run.sees("genl-watch  policy  log  eth0: rx-gro on");
  toggle(1, false, "tx-tcp-segmentation");
  await run.sees("genl-watch  policy  log  eth0: tx-tcp-segmentation off");
  const file = "examples/policies/genl-watch.lua";
  expect(cli("policy", "load", file, "on=rx-gro", "off=tx-tcp-segmentation", "--genl", "ethtool").status).toBe(0);
  let from = run.stdout.length;
  toggle(1, false, "rx-gro");
  await run.sees("genl-watch  policy  log  eth0: rx-gro is to be on: put back", from);
  from = run.stdout.length;
  toggle(1, true, "tx-tcp-segmentation");
  await run.sees("genl-watch  policy  log  eth0: tx-tcp-segmentation is to be off: put back", from);
  expect(policies()).toMatchObject([{ lost: 0, lastError: null }]);
  expect(cli("policy", "unload", "genl-watch").status).toBe(0);
});
