// SPDX-License-Identifier: MIT
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { PolicyStatus } from "../../src/rpc/index.js";
import { hasTool, needs } from "../fixtures/needs.js";
import { TestPair } from "../fixtures/netns.js";
import { Running, xdpctl, xdpctlJson } from "../fixtures/xdpctl.js";

let pair: TestPair;
let folder: string;
const running: Running[] = [];

beforeEach(() => {
  pair = new TestPair();
  folder = mkdtempSync(join(tmpdir(), "xdpctl-packets-"));
});

afterEach(async () => {
  for (const process of running.splice(0)) await process.close();
  pair.close();
  rmSync(folder, { recursive: true });
});

function sample(name: string): string {
  return `examples/policies/${name}.lua`;
}

function policy(name: string, source: string): string {
  const file = join(folder, name);
  writeFileSync(file, source);
  return file;
}

async function run(file: string, ...args: string[]): Promise<Running> {
  const process = Running.xdpctl(pair.left, "run", "guard", "eth0", "--policy", file, ...args);
  running.push(process);
  await process.sees(/^\S+ +running +hooks packet/m);
  return process;
}

/** A process of the left side that says `up` when it serves. */
async function server(...argv: string[]): Promise<void> {
  const process = new Running(pair.left.argv(...argv));
  running.push(process);
  await process.sees(/up|ACCEPT/);
}

const http = (...ports: number[]): Promise<void> =>
  server(
    process.execPath,
    "-e",
    `let n = 0; for (const port of ${JSON.stringify(ports)}) require("node:http")
      .createServer((q, r) => r.end("x".repeat(+q.url.slice(1) || 1)))
      .listen(port, () => { if (++n === ${ports.length}) console.log("up"); });`,
  );

/** What curl on the right says of a page: its status, or its own exit code where that is not 0. */
function curl(port: number, ...args: string[]): string {
  const url = `http://${pair.leftAddress}:${port}/`;
  const { status, stdout } = pair.right.exec([
    "curl",
    "-s",
    "-m",
    "1",
    "-o",
    "/dev/null",
    "-w",
    "%{http_code}",
    ...args,
    url,
  ]);
  return status === 0 ? stdout : `curl ${status}`;
}
const TIMEOUT = "curl 28";
const RESET = "curl 56";

const state = (): PolicyStatus =>
  xdpctlJson<{ policies: PolicyStatus[] }>(pair.left, ["policy", "ls"]).policies[0] as PolicyStatus;

describe("samples, with real clients", () => {
  it("packet-port: TCP to 80 is dropped, to 443 and from others passes, UDP too", async (context) => {
    needs(context, hasTool("curl"), "curl");
    await http(80, 443);
    await run(sample("packet-port"));
    expect(curl(80)).toBe(TIMEOUT);
    expect(curl(443)).toBe("200");
    expect(curl(443, "--local-port", "1234")).toBe(TIMEOUT);
    expect(pair.right.ping(pair.leftAddress)).toBe(1);
  });

  it("packet-agent: one client is reset, another gets its page through the hook", async (context) => {
    needs(context, hasTool("curl"), "curl");
    await http(80);
    const policies = await run(sample("packet-agent"));
    expect(curl(80, "-A", "curl/7.55.0")).toBe("200");
    expect(curl(80, "-A", "curl/7.54.0")).toBe(RESET);
    await policies.sees(new RegExp(`${pair.rightAddress} comes with curl/7.54.0`));
    // A page of many segments, whose acknowledgments all go through Lua.
    const page = pair.right.exec(["curl", "-s", "-m", "5", `http://${pair.leftAddress}/200000`]);
    expect(page.stdout).toBe("x".repeat(200_000));
    expect(state()).toMatchObject({ hooks: ["packet"], lost: 0, lastError: null });
  });

  it("packet-cookie: a request needs its cookie", async (context) => {
    needs(context, hasTool("curl"), "curl");
    await http(80);
    await run(sample("packet-cookie"));
    expect(curl(80)).toBe(RESET);
    expect(curl(80, "-b", "a=b; _xdpcookie=1")).toBe("200");
  });

  it("packet-sni: a TLS server on the list is not reached", async (context) => {
    needs(context, hasTool("openssl"), "openssl");
    const [key, certificate] = [join(folder, "key"), join(folder, "certificate")];
    pair.left.must(
      "openssl",
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:prime256v1",
      "-nodes",
      "-subj",
      "/CN=test",
      "-keyout",
      key,
      "-out",
      certificate,
    );
    await server("openssl", "s_server", "-accept", "443", "-key", key, "-cert", certificate);
    await run(sample("packet-sni"));
    const reach = (name: string): boolean =>
      pair.right
        .exec(["timeout", "1", "openssl", "s_client", "-connect", `${pair.leftAddress}:443`, "-servername", name], {
          input: "Q\n",
        })
        .stdout.includes("BEGIN CERTIFICATE");
    expect(reach("example.com")).toBe(true);
    expect(reach("test.com")).toBe(false);
    expect(reach("test2.com.br")).toBe(false);
  });

  it("packet-dns: answers dig, and leaves what it does not know to the server", async (context) => {
    needs(context, hasTool("dig"), "dig (bind9-dnsutils)");
    await run(sample("packet-dns"), "--arg", "www.example=192.0.2.7");
    const dig = (...args: string[]): string =>
      pair.right.exec(["dig", `@${pair.leftAddress}`, "+tries=1", "+timeout=1", ...args]).stdout;
    expect(dig("+noall", "+answer", "+comments", "WWW.example")).toMatch(
      /status: NOERROR[\s\S]*flags: qr rd ra ad; QUERY: 1, ANSWER: 1[\s\S]*WWW\.example\.\s+3600\s+IN\s+A\s+192\.0\.2\.7/i,
    );
    // Nobody serves DNS there: the stack says so, for the packet came to it.
    expect(dig("other.example")).toMatch(/connection refused|no servers could be reached/);
  });

  it("packet-dump: prints, and lets everything pass", async (context) => {
    needs(context, hasTool("curl"), "curl");
    await http(80, 22);
    const policies = await run(sample("packet-dump"));
    expect(curl(22)).toBe("200");
    expect(curl(80)).toBe("200");
    expect(pair.right.ping(pair.leftAddress)).toBe(1);
    await policies.sees(/10\.77\.1\.2\.\d+ > 10\.77\.1\.1\.80: tcp \[S\], length 0/);
    await policies.sees(/10\.77\.1\.2 > 10\.77\.1\.1: icmp, length 98/);
    expect(policies.stdout).not.toMatch(/\.22: tcp/);
    pair.right.must("ip", "neigh", "flush", "all");
    expect(pair.right.ping(pair.leftAddress)).toBe(1);
    await policies.sees(/arp who-has 10\.77\.1\.1 tell 10\.77\.1\.2, length \d+/);
  });

  it("packet-rate: one too many is reset, and then the kernel drops it", async (context) => {
    needs(context, hasTool("curl"), "curl");
    await http(80);
    const policies = await run(sample("packet-rate"), "--arg", "rate=3");
    const answers = Array.from({ length: 5 }, () => curl(80));
    expect(answers).toEqual(["200", "200", "200", "curl 7", TIMEOUT]);
    await policies.sees(/opened 4 connections in a second: blocked for 60 s/);
    expect(state()).toMatchObject({ blocked: 1 });
  });
});

describe("replies and failures", () => {
  const ask = (text: string): string =>
    pair.right
      .must(
        process.execPath,
        "-e",
        `const s = require("node:dgram").createSocket("udp4");
       s.on("message", (m) => { console.log(String(m)); process.exit(); });
       s.on("error", () => { console.log("refused"); process.exit(); });
       s.connect(9, "${pair.leftAddress}", () => s.send("${text}"));
       setTimeout(() => { console.log("nothing"); process.exit(); }, 1000);`,
      )
      .trim();

  it("udp_reply reaches the client; a hook that throws passes, or drops where it says so", async () => {
    const file = policy(
      "udp.lua",
      [
        'on("packet", { interface = "eth0", protocol = "udp", port = 9, on_error = args.on_error }, function(p)',
        '  if p:string(p.payload) == "bad" then error("no") end',
        '  if p:string(p.payload) == "long" then while true do end end',
        '  if p:string(p.payload) == "odd" then return "dorp" end',
        '  return p:udp_reply(unpack.string(p, p.payload, 2) .. "!")',
        "end)",
      ].join("\n"),
    );
    const passing = await run(file);
    expect(ask("hello")).toBe("he!");
    // The stack has the packet, and nobody listens.
    expect([ask("bad"), ask("long"), ask("odd")]).toEqual(["refused", "refused", "refused"]);
    await passing.sees(/udp\.lua:2: no \(in the packet hook\)/);
    await passing.sees(/udp\.lua:3: the packet hook ran longer than 100 ms and was stopped/);
    await passing.sees(/"dorp" is no answer of a packet hook \(did you mean drop\?\): pass, drop, reply, redirect/);
    expect(ask("again")).toBe("ag!");
    await running.pop()?.close();
    await run(file, "--arg", "on_error=drop");
    expect(ask("bad")).toBe("nothing");
    expect(ask("hello")).toBe("he!");
  });

  it("two policies see a packet one after the other; one that goes leaves the rest as it was", async () => {
    const first = policy("first.lua", 'on("packet", { protocol = "udp", port = 9 }, function(p) log("first") end)');
    const second = policy(
      "second.lua",
      'on("packet", { protocol = "udp" }, function(p) return p:udp_reply("second") end)',
    );
    const policies = await run(first, "--policy", second);
    await policies.sees(/^second +running/m);
    expect(ask("x")).toBe("second");
    await policies.sees(/first +policy +log +first/);
    expect(xdpctl(pair.left, ["policy", "unload", "second"])).toMatchObject({ status: 0 });
    expect(ask("x")).toBe("refused");
    expect(xdpctl(pair.left, ["policy", "unload", "first"])).toMatchObject({ status: 0 });
    expect(ask("x")).toBe("refused");
  });

  it("follows the guard: one that comes later, and an interface that is set down", async () => {
    const file = policy(
      "later.lua",
      'on("packet", { interface = "eth0", port = 9 }, function(p) return p:udp_reply("here") end)',
    );
    const policies = Running.xdpctl(pair.left, "run", "pass", "eth0", "--policy", file);
    running.push(policies);
    await policies.sees(/eth0: no guard is there: its packets are not seen until then/);
    expect(ask("x")).toBe("refused");
    expect(xdpctl(pair.left, ["load", "guard", "eth0"])).toMatchObject({ status: 0 });
    expect(ask("x")).toBe("here");
    pair.left.must("ip", "link", "set", "eth0", "down");
    await policies.sees(/eth0 is down/);
    pair.left.must("ip", "link", "set", "eth0", "up");
    await policies.sees(/up/);
    const end = performance.now() + 5000;
    while (ask("x") !== "here") if (performance.now() > end) throw new Error("no answer after the interface came up");
  });

  it("in generic mode, too: what passes does not come back", async () => {
    const file = policy(
      "generic.lua",
      [
        'on("packet", { interface = "eth0", protocol = "udp", port = 9 }, function(p)',
        '  log("seen %s", p:string(p.payload, p.payload_length))',
        '  if p:string(p.payload, 2) == "me" then return p:udp_reply("generic") end',
        '  if p:string(p.payload, 2) == "no" then return "drop" end',
        "end)",
      ].join("\n"),
    );
    const policies = await run(file, "--mode", "generic");
    expect(ask("me")).toBe("generic");
    expect(ask("no")).toBe("nothing");
    expect(ask("on")).toBe("refused");
    await policies.sees("seen on");
    expect(policies.stdout.match(/seen on/g)).toHaveLength(1);
    expect(state()).toMatchObject({ calls: 3, lost: 0 });
  });

  it("frames that don't fit pass unseen, or are dropped where the hook says so", async () => {
    for (const side of [pair.left, pair.right]) side.must("ip", "link", "set", "eth0", "mtu", "9000");
    const file = policy(
      "long.lua",
      'on("packet", { protocol = "udp", port = 9, on_error = args.on_error }, function(p) return p:pass(p:data()) end)',
    );
    const passing = await run(file);
    expect([ask("x".repeat(3300)), ask("x".repeat(4000))]).toEqual(["refused", "refused"]);
    expect(state()).toMatchObject({ calls: 1, lost: 0, lastError: null });
    expect(passing.stdout).not.toMatch(/can't be passed on/);
    await running.pop()?.close();
    await run(file, "--arg", "on_error=drop");
    expect([ask("x".repeat(3300)), ask("x".repeat(4000))]).toEqual(["refused", "nothing"]);
    await running.pop()?.close();
    // Whatever other hooks say.
    const both = policy(
      "both.lua",
      'on("packet", { protocol = "udp" }, function() end)\non("packet", { port = 9, on_error = "drop" }, function() end)',
    );
    await run(both);
    expect([ask("x".repeat(3300)), ask("x".repeat(4000))]).toEqual(["refused", "nothing"]);
  });

  it("a packet in fragments has the ports of its first", async () => {
    const file = policy(
      "fragments.lua",
      'on("packet", { protocol = "udp", port = 9 }, function(p) return p.payload_length > 1000 and "drop" end)',
    );
    await run(file);
    expect([ask("x".repeat(900)), ask("x".repeat(2000))]).toEqual(["refused", "nothing"]);
    expect(state()).toMatchObject({ calls: 2, lost: 0, lastError: null });
  });

  it("what its exit hook says is shown when `run` ends", async () => {
    const text = 'on("exit", function() log("bye") end)';
    const policies = Running.xdpctl(pair.left, "run", "guard", "eth0", "-e", text);
    running.push(policies);
    await policies.sees(/^text +running/m);
    await policies.close();
    expect(policies.stdout).toMatch(/text +policy +log +bye/);
  });

  it("a script may be given as text", async () => {
    const text = 'on("packet", { protocol = "udp", port = 9 }, function(p) return p:udp_reply(args[1] or "text") end)';
    const process = Running.xdpctl(pair.left, "run", "guard", "eth0", "-e", text, "--arg", "typed");
    running.push(process);
    await process.sees(/^text +running +hooks packet/m);
    expect(ask("x")).toBe("typed");
    const replaced = xdpctl(pair.left, ["policy", "load", "-e", text.replace('"text"', '"anew"')]);
    expect(replaced).toMatchObject({ status: 0, stderr: "" });
    expect(ask("x")).toBe("anew");
    expect(xdpctl(pair.left, ["policy", "reload", "text"])).toMatchObject({ status: 0, stderr: "" });
    expect(ask("x")).toBe("anew");
    const watched = xdpctl(pair.left, ["status", "eth0", "--watch", "100ms", "--for", "350ms"]);
    expect(watched.stdout.match(/^eth0 +guard/gm)?.length).toBeGreaterThanOrEqual(3);
  });

  it("every queue has its socket", async () => {
    const queues = ["numrxqueues", "2", "numtxqueues", "2"];
    pair.left.must("ip", "link", "add", "two", ...queues, "type", "veth", "peer", "name", "owt", ...queues);
    for (const name of ["two", "owt"]) pair.left.must("ip", "link", "set", name, "up");
    const file = policy("two.lua", 'on("packet", { interface = "two", port = 9 }, function() return "drop" end)');
    await run(file);
    expect(xdpctl(pair.left, ["load", "guard", "two"])).toMatchObject({ status: 0 });
    const dump = xdpctl(pair.left, ["map", "dump", "two/redirects"]).stdout;
    expect(dump).toMatch(/dport=9 [^\n]* 2 +2 {2}\[0, 0, 0, 0\]\n/);
    expect(xdpctl(pair.left, ["unload", "two"])).toMatchObject({ status: 0 });
  });
});
