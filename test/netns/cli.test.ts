// SPDX-License-Identifier: MIT
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { BpfObject, builtinPath } from "../../src/bpf/index.js";
import type { XdpctlEvent } from "../../src/events/index.js";
import { openRoute, XDP_FLAGS } from "../../src/netlink/index.js";
import type { ControllerInfo, InterfaceStatus, MapEntry, Rule } from "../../src/rpc/index.js";
import { compileBpf, UNCHECKED } from "../fixtures/compile.js";
import { hasTool, needs } from "../fixtures/needs.js";
import { TestPair } from "../fixtures/netns.js";
import { Running, XDPCTL, xdpctl, xdpctlJson } from "../fixtures/xdpctl.js";

type Status = { interfaces: InterfaceStatus[]; controller: ControllerInfo | null };

let pair: TestPair;
let folder: string;
const running: Running[] = [];

beforeEach(() => {
  pair = new TestPair();
  folder = mkdtempSync(join(tmpdir(), "xdpctl-cli-"));
});

afterEach(async () => {
  for (const process of running.splice(0)) await process.close();
  xdpctl(pair.left, ["unload", "--all"]);
  pair.close();
  rmSync(folder, { recursive: true });
});

const pins = (): string => `/sys/fs/bpf/xdpctl/${pair.left.inode}`;
const cli = (...args: string[]) => xdpctl(pair.left, args);
const pinged = (): boolean => pair.right.ping(pair.leftAddress) === 1;

function eth0(): InterfaceStatus {
  const [status] = xdpctlJson<Status>(pair.left, ["status", "eth0"]).interfaces;
  if (status === undefined) throw new Error("status shows no eth0");
  return status;
}

function start(...args: string[]): Running {
  const process = Running.xdpctl(pair.left, ...args);
  running.push(process);
  return process;
}

/** `run guard eth0`, ready. */
async function controller(...args: string[]): Promise<Running> {
  const process = start("run", "guard", "eth0", ...args);
  await process.sees(/eth0 +guard/);
  return process;
}

describe("load, status, unload", () => {
  it("drops what comes in, counts it, is replaced, and leaves nothing behind", () => {
    expect(pinged()).toBe(true);
    const loaded = cli("load", "drop", "eth0");
    expect(loaded).toMatchObject({ status: 0, stderr: "" });
    expect(loaded.stdout).toMatch(
      /^eth0 {2}drop {2}native {2}id \d+ {2}\(pinned; `xdpctl unload eth0` removes it\)\n$/,
    );
    expect(pinged()).toBe(false);
    const dropped = eth0();
    expect(dropped).toMatchObject({ program: "drop", mode: "native", owner: "xdpctl", pinned: true });
    expect(Number(dropped.counters?.drop.packets)).toBeGreaterThan(0);
    expect(cli("status").stdout).toMatch(/^eth0 +drop +native +\d+ /m);
    expect(existsSync(pins())).toBe(true);

    expect(cli("load", "pass", "eth0").stdout).toMatch(/^eth0 {2}pass .*replaced drop id \d+/);
    expect(pinged()).toBe(true);
    expect(Number(eth0().counters?.pass.packets)).toBeGreaterThan(0);

    expect(cli("unload", "eth0")).toMatchObject({ status: 0 });
    expect(eth0()).toMatchObject({ program: null, owner: null, counters: null });
    expect(existsSync(pins())).toBe(false);
    expect(cli("unload", "--all")).toMatchObject({ status: 0 });
  });

  it("falls back to generic where the driver has no XDP, and says so; or refuses", () => {
    const refused = cli("load", "pass", "lo", "--mode", "native");
    expect(refused).toMatchObject({ status: 4, stdout: "" });
    expect(refused.stderr).toContain("XDPCTL_E_MODE");
    expect(cli("load", "pass", "lo").stdout).toMatch(/^lo {2}pass {2}generic {2}id \d+ {2}\(not native: .+pinned/);
    expect(cli("unload", "lo").status).toBe(0);
  });

  it.each<[string, string[], number, RegExp]>([
    [
      "a missing interface",
      ["load", "drop", "eth9"],
      5,
      /^error: .*eth9.*\(did you mean eth0\?\) +XDPCTL_E_NO_INTERFACE/,
    ],
    ["a program that is not there", ["load", "dorp", "eth0"], 5, /dorp.*XDPCTL_E_NO_OBJECT/],
    ["a missing object", ["load", "./nothing.bpf.o", "eth0"], 5, /nothing\.bpf\.o.*XDPCTL_E_NO_OBJECT/],
    ["unloading nothing", ["unload", "eth0"], 5, /XDPCTL_E_NOT_ATTACHED/],
    ["a name that is none", ["load", "drop", "a name with spaces, and long"], 5, /XDPCTL_E_/],
    ["a name with a newline", ["load", "drop", "eth0\n"], 5, /XDPCTL_E_/],
    ["status of a missing interface", ["status", "eth9"], 5, /XDPCTL_E_NO_INTERFACE/],
  ])("refuses %s", (_, args, status, text) => {
    const ended = cli(...args);
    expect(ended.stderr).toMatch(text);
    expect(ended.stderr.split("\n").length).toBeLessThanOrEqual(4);
    expect(ended).toMatchObject({ status: status === 5 && /E_BAD_NAME/.test(ended.stderr) ? 2 : status, stdout: "" });
  });

  it("refuses what is no object file", () => {
    const object = readFileSync("build/bpf/drop.bpf.o");
    for (const [name, bytes] of [
      ["text.bpf.o", Buffer.from("hello")],
      ["empty.bpf.o", Buffer.alloc(0)],
      ["half.bpf.o", object.subarray(0, object.length >> 1)],
    ] as const) {
      const file = join(folder, name);
      writeFileSync(file, bytes);
      const ended = cli("load", file, "eth0", "--json");
      expect(ended).toMatchObject({ status: 7, stdout: "" });
      expect(JSON.parse(ended.stderr)).toMatchObject({ error: { code: "XDPCTL_E_BAD_OBJECT", exitCode: 7 } });
    }
    expect(eth0().program).toBeNull();
  });

  it("takes programs off all the interfaces that it is told, or off none", () => {
    pair.left.must("ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1");
    expect(cli("load", "drop", "eth0", "v0")).toMatchObject({ status: 0 });
    expect(cli("unload", "eth0", "v0", "nope")).toMatchObject({ status: 5, stdout: "" });
    expect(cli("unload", "eth0", "v1")).toMatchObject({ status: 5, stdout: "" });
    expect(eth0().program).toBe("drop");
    expect(cli("unload", "eth0", "v0", "eth0").stdout.trim().split("\n")).toHaveLength(2);
  });

  it("never replaces someone else's program unless it is forced to", async () => {
    const others = await BpfObject.load(builtinPath("pass"));
    pair.left.run(() => {
      const route = openRoute();
      route.setXdp(route.link("eth0")?.index ?? 0, others.programs.pass?.fd ?? -1, XDP_FLAGS.DRV_MODE);
      route.close();
    });
    others.close();
    expect(eth0()).toMatchObject({ owner: "other", counters: null });
    expect(cli("status").stdout).toContain("someone else");
    const refused = cli("load", "drop", "eth0");
    expect(refused).toMatchObject({ status: 6, stdout: "" });
    expect(refused.stderr).toMatch(/XDPCTL_E_OCCUPIED\n {2}hint: `--force`/);
    expect(pinged()).toBe(true);
    expect(cli("load", "drop", "eth0", "--force")).toMatchObject({ status: 0 });
    expect(pinged()).toBe(false);
  });
});

describe("a process with some capabilities", () => {
  const SOME = "+bpf,+net_admin,+dac_override";
  const withOnly = (capabilities: string, ...args: string[]) =>
    pair.left.exec([
      ...["setpriv", `--bounding-set=-all,${capabilities}`, `--inh-caps=-all,${capabilities}`, "--"],
      ...[...XDPCTL, ...args],
    ]);

  beforeEach((context) => needs(context, hasTool("setpriv"), "setpriv"));

  it.each([["load"], ["run"]])("is told of CAP_PERFMON where the verifier asks for it, in one line: %s", (command) => {
    const { status, stdout, stderr } = withOnly(SOME, command, "guard", "eth0");
    expect({ status, stdout }).toEqual({ status: 3, stdout: "" });
    expect(stderr).toMatch(/^error: .*CAP_PERFMON.*\(or root\).*prohibited for !root {2}XDPCTL_E_PERMISSION\n$/);
    const { error } = JSON.parse(withOnly(SOME, command, "guard", "eth0", "--json").stderr) as { error: object };
    expect(error).toMatchObject({ code: "XDPCTL_E_PERMISSION", log: expect.stringMatching(/^processed \d+ insns/m) });
  });

  it("loads what needs no more", () => {
    expect(withOnly(SOME, "load", "drop", "eth0")).toMatchObject({ status: 0, stderr: "" });
    expect(pinged()).toBe(false);
  });

  it.each([["status"], ["deny", "192.0.2.1"], ["map", "ls"], ["run", "guard", "eth0"], ["map", "dump", "1"]])(
    "is told that finding what is attached takes CAP_SYS_ADMIN, in one line: %s",
    (...args) => {
      expect(cli("load", "guard", "eth0")).toMatchObject({ status: 0 });
      const { status, stdout, stderr } = withOnly(`${SOME},+perfmon`, ...args);
      expect({ status, stdout }).toEqual({ status: 3, stdout: "" });
      expect(stderr).toMatch(/^error: finding .* needs CAP_SYS_ADMIN \(or root\) {2}XDPCTL_E_PERMISSION\n$/);
    },
  );
});

describe("an ordinary user", () => {
  // The clone may lie where only root may look: /mnt is open to all.
  const script = 'mount --bind "$0" /mnt && cd /mnt && exec setpriv --reuid 65534 --regid 65534 --clear-groups -- "$@"';
  const nobody = ["unshare", "--mount", "sh", "-c", script, process.cwd()];
  const asNobody = (...args: string[]) => pair.left.exec([...nobody, process.execPath, "/mnt/bin/xdpctl.cjs", ...args]);

  beforeEach((context) => {
    needs(context, hasTool("setpriv"), "setpriv");
    const usable = pair.left.exec([...nobody, process.execPath, "--version"]).status === 0;
    needs(context, usable, "a node that every user may run");
    expect(cli("load", "guard", "eth0")).toMatchObject({ status: 0 });
  });

  it.each([
    ["load", "drop", "eth0"],
    ["unload", "eth0"],
    ["unload", "--all"],
    ["deny", "192.0.2.1"],
    ["rules"],
    ["map", "ls"],
    ["map", "ls", "--all"],
    ["map", "dump", "flows"],
    ["run", "guard", "eth0"],
    ["repl"],
    ["lab", "deploy", "labs/xdp.lab.yml"],
  ])("is told which capabilities it takes, in one line, and not that nothing is there: %s %s", (...args) => {
    const { status, stdout, stderr } = asNobody(...args.filter((word) => word !== undefined));
    expect({ status, stdout }).toEqual({ status: 3, stdout: "" });
    expect(stderr).toMatch(/^error: .*CAP_\w+ and CAP_NET_ADMIN \(or root\).*XDPCTL_E_PERMISSION\n$/);
    expect(eth0().program).toBe("guard");
  });

  it("sees that a program is there, and is not told whose", () => {
    const { status, stdout, stderr } = asNobody("status", "eth0");
    expect(status).toBe(0);
    expect(stdout).toMatch(/^eth0 +\? +native +\d+ .*\?$/m);
    expect(stderr).toMatch(/CAP_BPF/);
    const json = JSON.parse(asNobody("status", "eth0", "--json").stdout) as Status;
    expect(json.interfaces[0]).toMatchObject({ program: "?", owner: "unknown", counters: null });
  });

  it("is refused by a controller", async () => {
    const run = start("run", "pass", "eth0");
    await run.sees(/eth0 +pass/);
    const { status, stdout, stderr } = asNobody("status");
    expect({ status, stdout }).toEqual({ status: 3, stdout: "" });
    expect(stderr).toContain("XDPCTL_E_PERMISSION");
  });
});

describe("a machine without a BPF file system", () => {
  it("keeps nothing attached that can't be pinned, and says so", () => {
    // /sys that can't be written, and no other place to look: process 1 is in here, too.
    const script = `
      mount -t tmpfs tmpfs /mnt && mkdir /mnt/kernel /mnt/devices
      mount --bind /sys/kernel /mnt/kernel && mount --bind /sys/devices /mnt/devices
      umount -l /sys/fs/bpf; mount --rbind /mnt /sys && mount -o remount,ro,bind /sys
      "$@"; echo "status $?"`;
    const isolated = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "sh", "-c", script, "sh"];
    const { stdout, stderr } = pair.left.exec([...isolated, ...XDPCTL, "load", "drop", "eth0"]);
    expect(stdout).toBe("status 4\n");
    expect(stderr).toMatch(/^error: there is no BPF file system to pin in.*XDPCTL_E_BPFFS\n {2}hint: mount it/);
    expect(eth0().program).toBeNull();
  });
});

describe("the verifier's log", () => {
  it("comes with the verifier's error, in a file or as JSON", () => {
    const object = join(folder, "filter.bpf.o");
    writeFileSync(object, compileBpf(UNCHECKED));
    const refused = cli("load", object, "eth0", "--verifier-log", "-");
    expect(refused).toMatchObject({ status: 4, stdout: expect.stringMatching(/processed \d+ insns/) });
    expect(refused.stderr).toMatch(/refused `filter` in filter\.bpf\.o {2}XDPCTL_E_VERIFIER\n {2}filter\.bpf\.c:\d+/);
    const log = join(folder, "log");
    expect(cli("load", object, "eth0", "--verifier-log", log).stderr).toContain(`whole log: ${log}`);
    expect(readFileSync(log, "utf8")).toBe(refused.stdout);
    const loaded = cli("load", "drop", "eth0", "--verifier-log", "-", "--json");
    expect(JSON.parse(loaded.stdout)).toMatchObject({ attachments: [{}], log: expect.stringContaining("processed") });
  });

  it("that can't be written keeps the program from being loaded", () => {
    const failed = cli("load", "drop", "eth0", "--verifier-log", join(folder, "none/log"));
    expect(failed).toMatchObject({ status: 5, stdout: "" });
    expect(failed.stderr).toContain("XDPCTL_E_NO_FILE");
    expect(eth0().program).toBeNull();
  });
});

describe("rules and maps", () => {
  beforeEach(() => {
    expect(cli("load", "guard", "eth0")).toMatchObject({ status: 0 });
  });

  it("denies, allows, and forgets", () => {
    expect(pinged()).toBe(true);
    expect(cli("deny", "10.77.1.0/24").stdout).toBe("deny  10.77.1.0/24  on eth0\n");
    expect(pinged()).toBe(false);
    const [denied] = xdpctlJson<{ rules: Rule[] }>(pair.left, ["rules"]).rules;
    expect(denied).toMatchObject({ action: "deny", address: "10.77.1.0/24", interfaces: ["eth0"], expires: null });
    expect(Number(denied?.hits)).toBeGreaterThan(0);
    expect(cli("allow", pair.rightAddress)).toMatchObject({ status: 0 });
    expect(pinged()).toBe(true);
    expect(cli("allow", "--delete", "--all").stdout).toBe("1 rule deleted\n");
    expect(pinged()).toBe(false);
    expect(cli("deny", "--delete", "10.77.1.0/24").stdout).toBe("1 rule deleted\n");
    expect(pinged()).toBe(true);
    expect(xdpctlJson(pair.left, ["rules"])).toEqual({ rules: [] });
  });

  it("counts a rule's own hits, not those of a shorter prefix", () => {
    cli("deny", "10.77.0.0/16");
    expect(pinged()).toBe(false);
    cli("deny", pair.rightAddress);
    const hits = () =>
      Object.fromEntries(xdpctlJson<{ rules: Rule[] }>(pair.left, ["rules"]).rules.map((r) => [r.address, r.hits]));
    expect(hits()).toEqual({ "10.77.0.0/16": 1, [pair.rightAddress]: 0 });
    expect(pinged()).toBe(false);
    // The same rule again, with an end: it keeps its count.
    cli("deny", pair.rightAddress, "--for", "10m");
    expect(hits()).toEqual({ "10.77.0.0/16": 1, [pair.rightAddress]: 1 });
  });

  it.each([
    [["map", "set", "lost", "5", "1"], 2, /has the key 0 alone, not 5 {2}XDPCTL_E_BAD_KEY/],
    [["map", "get", "lost", "5"], 5, /XDPCTL_E_NO_KEY/],
    [["map", "delete", "lost", "0"], 4, /can't be deleted {2}XDPCTL_E_NOT_SUPPORTED/],
    [["map", "set", "deny_v4", "addr=1.2.3.4,prefixLen=33", "hits=0"], 2, /0 to 32 bits, not 33 {2}XDPCTL_E_BAD_KEY/],
    [["map", "get", "deny_v4", "addr=1.2.3.4"], 2, /needs prefixLen.*XDPCTL_E_BAD_KEY/],
    [["map", "set", "deny_v4", "addr=1.2.3.4,prefixLen=8", "owner=longer-than-it-may"], 2, /XDPCTL_E_BAD_VALUE/],
    [
      ["map", "set", "allow_port", "port=70000,proto=6", "hits=0"],
      2,
      /port: .* 0 to 65535, not 70000 {2}XDPCTL_E_BAD_KEY/,
    ],
    [["map", "dump", "events"], 4, /no entries to list {2}XDPCTL_E_NOT_SUPPORTED/],
    [["load", "guard", "eth0", "--ring-size", "5000"], 2, /a power of two, 4096 to 1 GiB {2}XDPCTL_E_USAGE/],
    [["load", "guard", "eth0", "--ring-size", "8G"], 2, /a power of two, 4096 to 1 GiB {2}XDPCTL_E_USAGE/],
    [["allow", "192.0.2.1", "--interface", "eth9"], 5, /no interface eth9.*did you mean eth0/],
  ])("refuses %j", (args, status, text) => {
    const ended = cli(...args);
    expect(ended).toMatchObject({ status, stdout: "" });
    expect(ended.stderr).toMatch(text);
  });

  it("says when a map is full, and what it holds stays", () => {
    const file = join(folder, "full.bpf.o");
    writeFileSync(
      file,
      compileBpf(`
        struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 2); __type(key, __u32); __type(value, __u32); } m SEC(".maps");
        SEC("xdp") int filter(struct xdp_md *c) { __u32 k = 0; bpf_map_lookup_elem(&m, &k); return XDP_PASS; }`),
    );
    expect(cli("load", file, "eth0")).toMatchObject({ status: 0 });
    for (const key of ["1", "2"]) expect(cli("map", "set", "m", key, "7")).toMatchObject({ status: 0 });
    const full = cli("map", "set", "m", "3", "7");
    expect(full).toMatchObject({ status: 8, stdout: "" });
    expect(full.stderr).toMatch(/the map m is full: it holds 2 entries {2}XDPCTL_E_MAP_FULL\n {2}hint: /);
    expect(xdpctlJson<{ entries: MapEntry[] }>(pair.left, ["map", "dump", "m"]).entries).toHaveLength(2);
    // No guard, no rules.
    for (const args of [
      ["deny", "192.0.2.1"],
      ["allow", "192.0.2.1"],
      ["limit", "192.0.2.1", "--rate", "5"],
    ]) {
      const refused = cli(...args);
      expect(refused).toMatchObject({ status: 5, stdout: "" });
      expect(refused.stderr).toMatch(/no guard is attached.*XDPCTL_E_NOT_ATTACHED\n {2}hint: load one/);
    }
  });

  it("takes IPv6 rules: by network, by address and port, and limits", () => {
    expect(pair.right.ping(pair.leftAddress6)).toBe(1);
    cli("deny", "fd77:1::/64", "--for", "10m");
    expect(pair.right.ping(pair.leftAddress6)).toBe(0);
    cli("allow", `${pair.rightAddress6}/128`);
    expect(pair.right.ping(pair.leftAddress6)).toBe(1);
    cli("deny", pair.rightAddress6, "--port", "443", "--proto", "tcp");
    cli("limit", "::/0", "--rate", "10/s");
    const { rules } = xdpctlJson<{ rules: Rule[] }>(pair.left, ["rules"]);
    expect(rules.map((r) => [r.action, r.address, r.port, r.proto, r.rate])).toEqual([
      ["allow", pair.rightAddress6, null, null, null],
      ["deny", "fd77:1::/64", null, null, null],
      ["deny", pair.rightAddress6, 443, "tcp", null],
      ["limit", "::/0", null, null, 10],
    ]);
    expect(pinged()).toBe(true);
  });

  it("lets a rule expire by itself", async () => {
    expect(cli("deny", pair.rightAddress, "--for", "1s").stdout).toMatch(/until \d\d:\d\d:\d\d \(\ds\)/);
    const deadline = Date.now() + 5000;
    while (!pinged()) expect(Date.now()).toBeLessThan(deadline);
  });

  it("needs a guard", () => {
    cli("unload", "eth0");
    expect(cli("deny", "10.0.0.1")).toMatchObject({ status: 5, stdout: "" });
  });

  it("reads and writes maps by the names of their fields", () => {
    cli("deny", "10.99.0.0/16");
    const { maps } = xdpctlJson<{ maps: { name: string; type: string; interfaces: string[] }[] }>(pair.left, [
      "map",
      "ls",
    ]);
    const deny = maps.find((map) => map.name === "deny_v4");
    expect(deny).toMatchObject({ type: "lpm_trie", interfaces: ["eth0"] });
    const { entries } = xdpctlJson<{ entries: MapEntry[] }>(pair.left, ["map", "dump", "deny_v4"]);
    expect(entries).toHaveLength(1);
    const key = JSON.stringify(entries[0]?.key);
    expect(xdpctlJson<MapEntry>(pair.left, ["map", "get", "deny_v4", key]).key).toEqual(entries[0]?.key);
    expect(cli("map", "delete", "eth0/deny_v4", key).stdout).toBe("1 entry deleted\n");
    expect(cli("map", "get", "deny_v4", key)).toMatchObject({ status: 5, stdout: "" });
    const unknown = cli("map", "dump", "deny_v5");
    expect(unknown).toMatchObject({ status: 5, stdout: "" });
    expect(unknown.stderr).toContain("XDPCTL_E_NO_MAP");
    expect(cli("map", "get", "deny_v4", "nonsense=1")).toMatchObject({ status: 2, stdout: "" });
  });
});

describe("a controller", () => {
  it("shows its events to all who read, and ends without a trace", async () => {
    const run = await controller();
    const readers = [1, 2].map(() => start("events", "--flow", "--json", "--count", "1"));
    const text = start("events");
    // A reader is there when the controller counts it; the first flow after that is seen by all.
    const flood = setInterval(() => pair.right.exec(["ping", "-c1", "-W1", pair.leftAddress]), 200);
    try {
      for (const reader of readers) {
        const { status, stdout } = await reader.ended();
        expect(status).toBe(0);
        expect(JSON.parse(stdout)).toMatchObject({
          type: "flow",
          interface: "eth0",
          proto: expect.stringMatching(/icmp/),
        });
      }
    } finally {
      clearInterval(flood);
    }
    const status = xdpctlJson<Status>(pair.left, ["status"]);
    expect(status.controller).toMatchObject({ pid: expect.any(Number), kind: "run" });
    const second = cli("run", "pass", "eth0");
    expect(second).toMatchObject({ status: 6, stdout: "" });
    expect(second.stderr).toContain(`(pid ${status.controller?.pid})`);
    run.signal("SIGTERM");
    expect(await run.ended()).toMatchObject({ status: 0, stderr: "" });
    expect((await text.ended()).stdout).toMatch(/exit {2}the controller ends\n$/);
    expect(eth0().program).toBeNull();
    expect(existsSync(pins())).toBe(false);
  });

  it("ends readers at SIGINT with status 0", async () => {
    await controller();
    const reader = start("events", "--json");
    const marker = start("events", "--xdp", "--json", "--count", "1");
    await new Promise((resolve) => setTimeout(resolve, 800));
    cli("load", "pass", "eth0");
    expect(JSON.parse((await marker.ended()).stdout)).toMatchObject({
      type: "xdp",
      action: "replace",
      program: "pass",
    });
    await reader.sees('"xdp"');
    reader.signal("SIGINT");
    expect(await reader.ended()).toMatchObject({ status: 0, stderr: "" });
  });

  it("keeps what a shell has loaded through it", async () => {
    const run = await controller();
    expect(cli("load", "drop", "eth0")).toMatchObject({ status: 0 });
    run.signal("SIGINT");
    expect(await run.ended()).toMatchObject({ status: 0 });
    expect(eth0()).toMatchObject({ program: "drop", pinned: true });
  });

  it("is not held up by a reader that stops, and tells it what it missed", async () => {
    await controller();
    const reader = start("events", "--flow", "--json");
    reader.child.stdout?.pause();
    const flows = 60_000;
    // Each port is a new flow, and so an event.
    const send = `
      const socket = require("node:dgram").createSocket("udp4");
      let sent = 0;
      const next = () => {
        if (sent === ${flows}) return socket.close();
        let open = 500;
        for (let i = 0; i < 500; i++) {
          socket.send("x", 1 + (sent++ % 65535), "${pair.leftAddress}", () => { if (--open === 0) next(); });
        }
      };
      next();`;
    await new Promise((resolve) => setTimeout(resolve, 800));
    pair.right.must(process.execPath, "-e", send);
    const before = performance.now();
    expect(cli("status")).toMatchObject({ status: 0 });
    expect(performance.now() - before).toBeLessThan(5000);
    reader.child.stdout?.resume();
    await reader.sees('"lost"', 0, 20_000);
    reader.signal("SIGINT");
    const { stdout } = await reader.ended();
    const events = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as XdpctlEvent);
    expect(events.some((event) => event.type === "lost" && event.count > 0)).toBe(true);
  });

  it("answers events with how to get a controller where there is none", () => {
    const ended = cli("events");
    expect(ended).toMatchObject({ status: 5, stdout: "" });
    expect(ended.stderr).toMatch(/XDPCTL_E_NO_CONTROLLER\n {2}hint: start one/);
  });
});

describe("output", () => {
  it("ends quietly when its reader goes away", () => {
    const line = `"$0" "$1" status --watch 50ms | head -n 1; echo "\${PIPESTATUS[*]}"`;
    const { stdout, stderr } = pair.left.exec(["bash", "-c", line, ...XDPCTL]);
    expect(stdout).toMatch(/^INTERFACE .*\n0 0\n$/);
    expect(stderr).toBe("");
  });

  it("watches in frames of its own, one JSON object a line", async () => {
    const watch = start("status", "--watch", "50ms", "--json");
    await watch.sees(/(.*\n){3}/);
    watch.signal("SIGINT");
    const { status, stdout } = await watch.ended();
    expect(status).toBe(0);
    for (const line of stdout.trim().split("\n")) expect(JSON.parse(line)).toHaveProperty("interfaces");
  });

  it.each([["load"], ["run"]])("says of a program the same time in each frame: %s", async (command) => {
    if (command === "run") await controller();
    else cli("load", "drop", "eth0");
    const watch = start("status", "eth0", "--watch", "30ms", "--json");
    await watch.sees(/(.*\n){10}/);
    watch.signal("SIGINT");
    const { stdout } = await watch.ended();
    const frames = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Status);
    const since = new Set(frames.map((frame) => frame.interfaces[0]?.since));
    expect(since.size).toBe(1);
    const [time] = since;
    expect(Math.abs(Date.now() - Date.parse(time ?? ""))).toBeLessThan(5000);
  });
});
