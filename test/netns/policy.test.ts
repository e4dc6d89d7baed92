// SPDX-License-Identifier: MIT
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { XdpctlEvent } from "../../src/events/index.js";
import type { InterfaceStatus, MapEntry, PolicyStatus, Rule } from "../../src/rpc/index.js";
import { TestPair } from "../fixtures/netns.js";
import { Running, XDPCTL, xdpctl, xdpctlJson } from "../fixtures/xdpctl.js";

let pair: TestPair;
let folder: string;
const running: Running[] = [];

beforeEach(() => {
  pair = new TestPair();
  folder = mkdtempSync(join(tmpdir(), "xdpctl-policy-"));
});

afterEach(async () => {
  for (const process of running.splice(0)) await process.close();
  xdpctl(pair.left, ["unload", "--all"]);
  pair.close();
  rmSync(folder, { recursive: true });
});

const cli = (...args: string[]) => xdpctl(pair.left, args);
const policies = (): PolicyStatus[] => xdpctlJson<{ policies: PolicyStatus[] }>(pair.left, ["policy", "ls"]).policies;
const rules = (): Rule[] => xdpctlJson<{ rules: Rule[] }>(pair.left, ["rules"]).rules;
const pinged = (): boolean => pair.right.ping(pair.leftAddress) === 1;

async function controller(...args: string[]): Promise<Running> {
  const process = Running.xdpctl(pair.left, "run", "guard", "eth0", ...args);
  running.push(process);
  await process.sees(/^eth0 +guard|"attachments"/m);
  const wanted = args.filter((word) => word === "--policy").length;
  await process.sees(new RegExp(`(?:(?:^\\S+ +running +hooks|"policy":\\{)[^]*){${wanted}}`, "m"));
  return process;
}

function policy(name: string, source: string): string {
  const file = join(folder, name);
  writeFileSync(file, source);
  return file;
}

async function until<T>(what: string, look: () => T | undefined | false): Promise<T> {
  const end = performance.now() + 5000;
  for (;;) {
    const found = look();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > end) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Tries to connect to `count` TCP ports, as fast as a plain program does, and prints when it began. */
const scan = (address: string, count: number): string => `
  const net = require("node:net");
  process.stdout.write(new Date().toISOString());
  let open = ${count};
  for (let port = 1; port <= ${count}; port++) {
    const socket = net.connect(port, "${address}");
    const done = () => { socket.destroy(); if (--open === 0) process.exit(); };
    socket.on("error", done).on("connect", done);
  }
  setTimeout(() => process.exit(), 1000);`;

it("--cpus keeps the loop on one CPU and policies on the others; wrong lists are refused", async () => {
  const run = await controller("--policy", policy("idle.lua", "every(60, function() end)"), "--cpus", "0,1");
  const tasks = readdirSync(`/proc/${run.child.pid}/task`).map((task) => {
    const status = readFileSync(`/proc/${run.child.pid}/task/${task}/status`, "utf8");
    return [Number(task), /^Cpus_allowed_list:\s*(.*)$/m.exec(status)?.[1]] as const;
  });
  expect(tasks.find(([task]) => task === run.child.pid)?.[1]).toBe("0");
  expect(tasks.map(([, cpus]) => cpus)).toContain("1");
  for (const list of ["0", "0,0", "x", "0,9999", "1-0"])
    expect(cli("run", "pass", "eth0", "--cpus", list)).toMatchObject({ status: 2 });
});

describe("the port scan policy", () => {
  it.each([
    ["IPv4", "leftAddress", "rightAddress"],
    ["IPv6", "leftAddress6", "rightAddress6"],
  ] as const)("blocks who scans, within a second: %s", async (_, target, source) => {
    const run = await controller("--policy", "examples/policies/portscan.lua", "--json");
    await run.sees(/"hooks"/);
    expect(pair.right.ping(pair[target])).toBe(1);
    const began = Date.parse(pair.right.must(process.execPath, "-e", scan(pair[target], 60)));
    const told = await run.sees(/"action":"block".*\n/);
    const block = told
      .split("\n")
      .filter((line) => line.includes('"block"'))
      .map((line) => JSON.parse(line) as XdpctlEvent);
    expect(block).toHaveLength(1);
    expect(block[0]).toMatchObject({ type: "policy", policy: "portscan", text: `${pair[source]} for 600 s` });
    expect(Date.parse(block[0]?.time ?? "") - began).toBeLessThan(1000);
    expect(pair.right.ping(pair[target])).toBe(0);
    expect(rules()).toMatchObject([{ action: "deny", address: pair[source], owner: "portscan" }]);
    expect(policies()).toMatchObject([
      { name: "portscan", hooks: ["flow", "every"], blocked: 1, lost: 0, lastError: null },
    ]);
    const [status] = xdpctlJson<{ interfaces: InterfaceStatus[] }>(pair.left, ["status", "eth0"]).interfaces;
    expect(status?.policies).toEqual(["portscan"]);
    // Its rules go with it, and nobody else's.
    expect(cli("deny", "192.0.2.1")).toMatchObject({ status: 0 });
    expect(cli("policy", "unload", "portscan").stdout).toBe("portscan  unloaded  1 rule removed\n");
    expect(pair.right.ping(pair[target])).toBe(1);
    expect(rules()).toMatchObject([{ address: "192.0.2.1", owner: "" }]);
  });

  it("lets ordinary use alone", async () => {
    await controller("--policy", "examples/policies/portscan.lua");
    pair.right.must(process.execPath, "-e", scan(pair.leftAddress, 15));
    expect(pinged()).toBe(true);
    expect(policies()[0]).toMatchObject({ blocked: 0 });
  });
});

describe("the other policies that come along", () => {
  it("synflood limits who opens too many connections, and nobody else", async () => {
    const run = await controller();
    const file = "examples/policies/synflood.lua";
    expect(cli("policy", "load", file, "syns=50", "rate=2")).toMatchObject({ status: 0, stderr: "" });
    pair.right.must(process.execPath, "-e", scan(pair.leftAddress, 200));
    await run.sees(/synflood {2}policy {2}log {2}limited 10\.77\.1\.2 to 2 packets\/s/);
    expect(rules()).toMatchObject([{ action: "limit", address: pair.rightAddress, rate: 2, owner: "synflood" }]);
    expect(pair.right.ping(pair.leftAddress, 20, 0.01)).toBeLessThan(10);
    expect(pair.right.ping(pair.leftAddress6, 5, 0.01)).toBe(5);
  });

  it("toptalkers names who sent the most", async () => {
    const run = await controller();
    expect(cli("policy", "load", "examples/policies/toptalkers.lua", "seconds=0.5")).toMatchObject({ status: 0 });
    pair.right.ping(pair.leftAddress, 20, 0.01);
    pair.right.ping(pair.leftAddress6, 2, 0.01);
    await run.sees(/toptalkers {2}policy {2}log {2}\s*1 {2}10\.77\.1\.2 +\d[\d.]* k?B\n/);
  });

  it("linkwatch puts a program back on an interface that comes back", async () => {
    const run = await controller("--policy", "examples/policies/linkwatch.lua");
    const add = () => pair.left.must("ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1");
    add();
    expect(cli("load", "drop", "v0")).toMatchObject({ status: 0 });
    await run.sees(/linkwatch {2}policy {2}log {2}v0: drop attach/);
    pair.left.must("ip", "link", "del", "v0");
    await run.sees(/linkwatch {2}policy {2}log {2}v0: gone/);
    add();
    await run.sees(/linkwatch {2}policy {2}log {2}v0 is back: drop loaded again/);
    expect(cli("status", "v0").stdout).toMatch(/^v0 +drop +native/m);
  });
});

describe("a rule that is written again and again", () => {
  const rule = (action: Rule["action"], owner: string): Rule | undefined =>
    rules().find((one) => one.action === action && one.owner === owner);

  /** Looks at a rule's hits while its source sends; they may only grow. */
  async function grows(action: Rule["action"], owner: string, expected: number, send: () => unknown): Promise<void> {
    const before = Number(rule(action, owner)?.hits);
    let hits = 0;
    for (let round = 0; round < 4; round++) {
      send();
      const now = Number(rule(action, owner)?.hits) - before;
      expect(now).toBeGreaterThanOrEqual(hits);
      hits = now;
    }
    // One that hits between the look at it and the write is not counted.
    expect(hits).toBeGreaterThan(expected * 0.9);
    expect(hits).toBeLessThanOrEqual(expected);
  }

  it("keeps its hits, and is named in events: block", async () => {
    const source = `
      local function again(src) if src == "${pair.rightAddress}" then block(src, 60) end end
      on("flow", again)
      on("deny", again)`;
    await controller("--policy", policy("again.lua", source));
    expect(pinged()).toBe(true);
    const events = Running.xdpctl(pair.left, "events", "--deny", "--json");
    running.push(events);
    await until("the block", () => rules().length === 1);
    // The reader says by an event that it is there: what comes before nobody tells it.
    await until("the reader", () => {
      pair.right.exec(["ping", "-c1", "-W0.1", pair.leftAddress]);
      return events.stdout !== "";
    });
    const from = events.stdout.length;
    await grows("deny", "again", 80, () => pair.right.exec(["ping", "-c20", "-i0.01", "-W0.1", pair.leftAddress]));
    await events.sees(/(.*\n){80}/, from);
    const seen = events.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as XdpctlEvent);
    expect(new Set(seen.map((event) => event.type === "deny" && event.prefixLen))).toEqual(new Set([32]));
    // What a person has put in its place stays.
    expect(cli("deny", pair.rightAddress)).toMatchObject({ status: 0 });
    pair.right.ping(pair.leftAddress, 5, 0.01);
    expect(rules()).toMatchObject([{ address: pair.rightAddress, owner: "", expires: null }]);
  });

  it("keeps them for networks, for what is allowed, and for limits", async () => {
    const source = `
      limit("fd77:1::/64", 5, 1)
      on("rate", function(src) limit("fd77:1::/64", 5, 1) end)
      every(0.01, function()
        allow("${pair.rightAddress}", 60)
        block("203.0.113.0/24", 60)
      end)`;
    await controller("--policy", policy("again.lua", source));
    await until("the rules", () => rules().length === 3);
    await grows("allow", "again", 80, () => pair.right.ping(pair.leftAddress, 20, 0.01));
    pair.right.exec(["ping", "-c20", "-i0.01", "-W0.1", pair.leftAddress6]);
    const once = Number(rule("limit", "again")?.hits);
    pair.right.exec(["ping", "-c20", "-i0.01", "-W0.1", pair.leftAddress6]);
    expect(once).toBeGreaterThan(10);
    expect(Number(rule("limit", "again")?.hits)).toBeGreaterThan(once + 10);
    const maps = xdpctlJson<{ entries: MapEntry[] }>(pair.left, ["map", "dump", "deny_v4"]);
    expect(maps.entries).toMatchObject([{ value: { owner: "again", prefixLen: 24 } }]);
  });
});

describe("policies of a controller", () => {
  it("are loaded by relative path from where the client is, several at once, and told apart", async () => {
    await controller();
    mkdirSync(join(folder, "inner"));
    copyFileSync("examples/policies/blocklist.lua", join(folder, "inner/blocklist.lua"));
    writeFileSync(join(folder, "bad.txt"), `# bad ones\n${pair.rightAddress}\n2001:db8::/32 # a block\nnonsense\n`);
    const there = (...args: string[]) => pair.left.exec([...XDPCTL, "policy", ...args], { cwd: folder });
    const loaded = there("load", "inner/blocklist.lua", "list=@bad.txt");
    expect(loaded).toMatchObject({ status: 0, stderr: "" });
    expect(loaded.stdout).toBe("blocklist  running  hooks deny, every\n");
    await until("the block list", () => !pinged());
    expect(there("load", "inner/blocklist.lua", "--name", "second").status).toBe(0);
    for (const name of ["linkwatch", "synflood", "toptalkers"])
      expect(cli("policy", "load", `examples/policies/${name}.lua`)).toMatchObject({ status: 0, stderr: "" });
    expect(policies().map((p) => p.name)).toEqual(["blocklist", "second", "linkwatch", "synflood", "toptalkers"]);
    expect(there("load", join(folder, "inner/../inner/blocklist.lua"), "--name", "linkwatch")).toMatchObject({
      status: 6,
    });
    // The file has changed.
    writeFileSync(join(folder, "bad.txt"), "2001:db8::/32\n");
    expect(cli("policy", "reload", "blocklist").stdout).toMatch(/replaced the running one; its state stays/);
    await until("the address to be free again", pinged);
    expect(rules().map((rule) => rule.address)).toEqual(["2001:db8::/32"]);
    expect(cli("policy", "unload", "blokclist")).toMatchObject({ status: 5, stdout: "" });
    expect(cli("policy", "unload", "blokclist").stderr).toContain("(did you mean blocklist?)");
    expect(cli("policy", "unload", "blocklist", "second")).toMatchObject({ status: 0 });
    expect(rules()).toEqual([]);
  });

  it("are heard while they load, after the attachment and before the line that says that they run", async () => {
    writeFileSync(join(folder, "bad.txt"), `${pair.rightAddress}\n2001:db8::/32\n`);
    const args = ["--policy", "examples/policies/blocklist.lua", "--arg", `list=@${join(folder, "bad.txt")}`];
    const run = await controller(...args);
    await run.sees("blocklist  running");
    const clock = String.raw`\d\d:\d\d:\d\d\.\d{3}`;
    const lines = [
      String.raw`eth0 {2}guard {2}native {2}id \d+`,
      String.raw`${clock} {2}blocklist {2}policy {2}block {2}10\.77\.1\.2 until it is unloaded`,
      String.raw`${clock} {2}blocklist {2}policy {2}block {2}2001:db8::\/32 until it is unloaded`,
      `${clock} {2}blocklist {2}policy {2}log {2}2 entries blocked, 0 lines skipped`,
      "blocklist {2}running {2}hooks deny, every",
    ];
    expect(run.stdout).toMatch(new RegExp(`^${lines.join("\n")}\n$`));
    expect(pinged()).toBe(false);
    await run.close();
    const failing = Running.xdpctl(
      ...([pair.left, "run", "guard", "eth0", "--json"] as const),
      ...["--policy", policy("says.lua", "print('one', 2)\nerror('no')")],
    );
    running.push(failing);
    const { status, stdout, stderr } = await failing.ended();
    expect(status).toBe(7);
    expect(
      stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as object),
    ).toMatchObject([
      { attachments: [{ interface: "eth0" }] },
      { type: "policy", policy: "says", action: "log", text: "one\t2" },
    ]);
    expect(stderr).toContain("XDPCTL_E_LUA_RUNTIME");
  });

  it("keep their state over a reload, and a script that fails leaves the old one running", async () => {
    const run = await controller();
    const file = policy(
      "count.lua",
      `state.n = (state.n or 0) + 1; log("run %d", state.n); on("flow", function() end)`,
    );
    expect(cli("policy", "load", file)).toMatchObject({ status: 0 });
    await run.sees("run 1");
    expect(cli("policy", "load", file).stdout).toMatch(/^count {2}running {2}hooks flow {2}\(replaced/);
    await run.sees("run 2");
    for (const [source, status, code] of [
      ["state.n = 99\non('flow', function(", 7, "XDPCTL_E_LUA_SYNTAX"],
      ["state.n = 99\nerror('no')", 7, "XDPCTL_E_LUA_RUNTIME"],
      ["state.n = 99\nwhile true do end", 8, "XDPCTL_E_LUA_TIMEOUT"],
      ["state.n = 99\nlocal t = {} while true do t[#t + 1] = ('x'):rep(1e6) .. #t end", 8, "XDPCTL_E_LUA_MEMORY"],
    ] as const) {
      policy("count.lua", source);
      const failed = cli("policy", "reload", "count");
      expect(failed).toMatchObject({ status, stdout: "" });
      expect(failed.stderr).toContain(code);
      expect(failed.stderr).toMatch(/count\.lua:\d/);
      if (code === "XDPCTL_E_LUA_TIMEOUT")
        expect(failed.stderr).toMatch(/5000 ms .*\n {2}hint: .* 5 s when it is loaded/);
      await until("the old one", () => policies()[0]?.state === "running");
      expect(policies()).toMatchObject([{ name: "count", hooks: ["flow"] }]);
    }
    policy("count.lua", `state.n = state.n + 1; log("again %d", state.n)`);
    expect(cli("policy", "reload", "count")).toMatchObject({ status: 0 });
    // The old one ran anew after what ate the memory: that was the third run.
    await run.sees("again 4");
  }, 60_000);

  it("that never end, or eat memory, cost only themselves", async () => {
    const run = await controller("--policy", policy("loop.lua", `\non("flow", function()\n while true do end\nend)`));
    expect(pinged()).toBe(true);
    await run.sees(/loop {2}policy {2}error {2}loop\.lua:3: the flow hook ran longer than 100 ms and was stopped/);
    const bomb = policy(
      "bomb.lua",
      `on("flow", function()\n local t = {} while true do t[#t+1] = ("x"):rep(1e6)..#t end end)`,
    );
    expect(cli("policy", "load", bomb)).toMatchObject({ status: 0 });
    expect(pair.right.ping(pair.leftAddress6)).toBe(1);
    await run.sees(
      /bomb {2}policy {2}killed {2}bomb\.lua:2: the flow hook held more than 64 MiB and was stopped/,
      0,
      20_000,
    );
    expect(pinged()).toBe(true);
    expect(policies().map((p) => p.lastError)).toEqual([
      expect.stringMatching(/^loop\.lua:3/),
      expect.stringMatching(/^bomb\.lua:2/),
    ]);
    run.signal("SIGTERM");
    expect(await run.ended()).toMatchObject({ status: 0, stderr: "" });
  }, 60_000);

  it("can't be what has no end, and a controller that is told so goes on", async () => {
    const run = await controller();
    const blocklist = "examples/policies/blocklist.lua";
    for (const args of [["/dev/zero"], ["/tmp"], [blocklist, "list=@/dev/zero"], [join(folder, "none.lua")]]) {
      expect(cli("policy", "load", ...args)).toMatchObject({ status: 5, stdout: "" });
    }
    expect(cli("load", "/dev/zero", "eth0")).toMatchObject({ status: 5, stdout: "" });
    for (const name of ["", "a b", "a\nb", "sixteen-letters-x", '"']) {
      const refused = cli("policy", "load", blocklist, "--name", name);
      expect(refused).toMatchObject({ status: 2, stdout: "" });
      expect(refused.stderr).toMatch(/is no name for a policy {2}XDPCTL_E_BAD_NAME\n {2}hint: /);
    }
    expect(cli("policy", "load", policy("syntax.lua", "x = = 1"))).toMatchObject({ status: 7, stdout: "" });
    expect(policies()).toEqual([]);
    run.signal("SIGTERM");
    const { status, stdout, stderr } = await run.ended();
    // What never ran was not killed.
    expect({ status, stderr, lines: stdout.trim().split("\n").length }).toEqual({ status: 0, stderr: "", lines: 1 });
  });

  it("load and replace programs, and hear of links and programs", async () => {
    const source = `
      on("xdp", function(...) log("xdp %s", table.concat({...}, " ")) end)
      on("link", function(...) log("link") end)
      every(0.05, function()
        if not state.done then
          state.done = true
          load("drop", "eth0", function(ok, text) log("loaded %s %s", tostring(ok), tostring(text)) end)
        end
      end)`;
    const run = await controller("--policy", policy("swap.lua", source));
    await run.sees(/loaded true drop on eth0 \(native\)/);
    await run.sees(/swap {2}policy {2}log {2}xdp .*replace/);
    expect(pinged()).toBe(false);
    pair.left.must("ip", "link", "add", "br7", "type", "bridge");
    await run.sees(/swap {2}policy {2}log {2}link/);
  });

  it("a policy that is too slow loses events, and each is counted", async () => {
    const slow = `on("flow", function() local t = now() while now() - t < 0.05 do end end)`;
    const run = await controller("--policy", policy("slow.lua", slow));
    const lossy = `
      const socket = require("node:dgram").createSocket("udp4");
      let sent = 0;
      const next = () => {
        if (sent >= 130000) return socket.close();
        let open = 500;
        for (let i = 0; i < 500; i++) {
          sent++;
          socket.send("x", 1 + (sent % 65535), "${pair.leftAddress}", () => { if (--open === 0) setImmediate(next); });
        }
      };
      // Two sockets are two sources of 65,535 flows each.
      socket.bind(0, () => next());`;
    pair.right.must(process.execPath, "-e", lossy);
    pair.right.must(process.execPath, "-e", lossy);
    await run.sees(/slow {2}lost {2}\d+ events or packets \(policy\)/);
    const [status] = policies();
    expect(status).toMatchObject({ name: "slow", state: "running" });
    expect(status?.lost).toBeGreaterThan(0);
    expect(cli("policy", "ls").stdout).toMatch(/^slow .* \d+ +\d+ +–$/m);
  }, 60_000);

  it("need a controller; checking needs neither that nor root", () => {
    const file = "examples/policies/portscan.lua";
    for (const args of [["ls"], ["load", file], ["reload", "x"], ["unload", "x"]]) {
      const ended = cli("policy", ...args);
      expect(ended).toMatchObject({ status: 5, stdout: "" });
      expect(ended.stderr).toMatch(/policies need one {2}XDPCTL_E_NO_CONTROLLER\n {2}hint: start one/);
    }
    expect(cli("policy", "check", file).stdout).toBe(
      `${file}: hooks flow, every; uses args, block, every, log, state\n`,
    );
    const broken = cli("policy", "check", policy("broken.lua", "local x = = 1\n"));
    expect(broken).toMatchObject({ status: 7, stdout: "" });
    expect(broken.stderr).toMatch(/broken\.lua:1: .*XDPCTL_E_LUA_SYNTAX/);
  });
});

describe("a controller that is killed", () => {
  it("leaves nothing attached", async () => {
    const run = await controller("--policy", "examples/policies/portscan.lua");
    run.signal("SIGKILL");
    await run.ended();
    await until("the kernel to detach", () => cli("status").stdout.match(/^eth0 +– /m) !== null);
    expect(existsSync(`/sys/fs/bpf/xdpctl/${pair.left.inode}`)).toBe(false);
    await controller();
  });

  it("leaves events in the ring, and the next one's policies hear of them", async () => {
    const first = await controller("--keep");
    first.signal("SIGKILL");
    await first.ended();
    expect(pinged()).toBe(true);
    const file = policy("late.lua", 'on("flow", function(src, dst, proto) log("saw %s from %s", proto, src) end)');
    const next = await controller("--policy", file);
    await next.sees(`saw icmp from ${pair.rightAddress}`);
    cli("unload", "eth0");
  });

  it("leaves what was kept, with its rules; the next one goes on with them", async () => {
    const run = await controller("--keep");
    cli("deny", pair.rightAddress);
    run.signal("SIGKILL");
    await run.ended();
    expect(pinged()).toBe(false);
    expect(rules()).toMatchObject([{ address: pair.rightAddress, hits: 1 }]);
    const repl = Running.xdpctl(pair.left, "repl");
    running.push(repl);
    repl.write("=stats('eth0').drop\n");
    await repl.sees(/^1$/m);
    const events = Running.xdpctl(pair.left, "events", "--deny", "--json", "--count", "1");
    running.push(events);
    const again = setInterval(() => pinged(), 100);
    expect(JSON.parse((await events.ended()).stdout)).toMatchObject({ type: "deny", src: pair.rightAddress });
    clearInterval(again);
    repl.write("unload eth0\n");
    await repl.sees("detached");
    expect(pinged()).toBe(true);
    expect(existsSync(`/sys/fs/bpf/xdpctl/${pair.left.inode}`)).toBe(false);
  });
});
