// SPDX-License-Identifier: MIT
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { compileBpf } from "../fixtures/compile.js";
import { hasTool, needs } from "../fixtures/needs.js";
import { connect, TestNamespace, TestPair } from "../fixtures/netns.js";
import { Running, xdpctl } from "../fixtures/xdpctl.js";

/** A client (right of the pair), a router (left) between it and a server: eth0 to the client, eth1 to the server. */
let pair: TestPair;
let server: TestNamespace;
let folder: string;
const SERVER = "10.77.2.2";
const running: Running[] = [];

beforeEach(() => {
  pair = new TestPair();
  server = new TestNamespace("s");
  folder = mkdtempSync(join(tmpdir(), "xdpctl-router-"));
  connect(pair.left, server, { net: 2, left: "eth1" });
  pair.left.run(() => writeFileSync("/proc/sys/net/ipv4/ip_forward", "1"));
  pair.right.must("ip", "route", "add", "default", "via", pair.leftAddress);
  server.must("ip", "route", "add", "default", "via", "10.77.2.1");
});

afterEach(async () => {
  for (const process of running.splice(0).reverse()) await process.close();
  pair.close();
  server.close();
  rmSync(folder, { recursive: true });
});

function policy(name: string, ...lines: string[]): string {
  const file = join(folder, name);
  writeFileSync(file, lines.join("\n"));
  return file;
}

async function run(file: string, ...args: string[]): Promise<Running> {
  const process = Running.xdpctl(pair.left, "run", "guard", "eth0", "eth1", "--policy", file, ...args);
  running.push(process);
  await process.sees(/^\S+ +running +hooks packet/m);
  return process;
}

describe("on a router", () => {
  it("packet-cache: learns from a server's answers, and answers when it is gone", async (context) => {
    needs(context, hasTool("dig"), "dig (bind9-dnsutils)");
    needs(context, hasTool("dnsmasq"), "dnsmasq");
    const dns = new Running(
      server.argv(
        ...["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--pid-file=", "--user=root", "--no-resolv"],
        ...["--no-hosts", "--log-facility=-", "--local-ttl=300", "--host-record=www.example,192.0.2.7,2001:db8::7"],
      ),
    );
    running.push(dns);
    await dns.says(/started/);
    const policies = await run("examples/policies/packet-cache.lua");
    const dig = (...args: string[]): string =>
      pair.right.exec(["dig", `@${SERVER}`, "+tries=1", "+timeout=1", "+noall", "+answer", "+comments", ...args])
        .stdout;
    expect(dig("www.example")).toMatch(/flags: qr aa rd ra;[\s\S]*www\.example\.\s+300\s+IN\s+A\s+192\.0\.2\.7/);
    await policies.sees(/www\.example is 192\.0\.2\.7 for 300 s/);
    await dns.close();
    // 0x81a0 are the flags qr rd ra ad; the record's TTL is what is left of the server's.
    expect(dig("WWW.example")).toMatch(
      /flags: qr rd ra ad;[\s\S]*www\.example\.\s+(300|29\d)\s+IN\s+A\s+192\.0\.2\.7/i,
    );
    expect(dig("AAAA", "www.example")).not.toMatch(/2001:db8::7/);
    expect(dig("other.example")).not.toMatch(/ANSWER: 1/);
  });

  it("packet-route: forwards by the routing table, past a firewall that forwards nothing", async (context) => {
    needs(context, hasTool("nft"), "nft (nftables)");
    expect(pair.right.ping(SERVER)).toBe(1);
    pair.left.must("nft", "add table ip t; add chain ip t f { type filter hook forward priority 0; policy drop; }");
    expect(pair.right.ping(SERVER)).toBe(0);
    await run("examples/policies/packet-route.lua", "--arg", "protocol=icmp");
    const { stdout } = pair.right.exec(["ping", "-n", "-c", "2", "-i", "0.05", "-W", "1", SERVER]);
    // The stack of the router, which answers for itself, has the same packets as before.
    expect(stdout).toMatch(/ttl=63 [\s\S]*ttl=63 [\s\S]*2 received/);
    expect(pair.right.ping(pair.leftAddress)).toBe(1);
    // What is too long for the way is the stack's, which tells the sender; the firewall goes first, for it would not let it.
    pair.left.must("ip", "link", "set", "eth1", "mtu", "1400");
    pair.left.must("nft", "flush", "ruleset");
    const long = pair.right.exec(["ping", "-n", "-c", "1", "-M", "do", "-s", "1450", "-W", "1", SERVER]).stdout;
    expect(long).toMatch(/Frag needed and DF set \(mtu = 1400\)/);
    expect(pair.right.exec(["ping", "-n", "-c", "1", "-t", "1", "-W", "1", SERVER]).stdout).toMatch(
      /Time to live exceeded/,
    );
  });

  it("fib_lookup says where, by whom and from which address; or why not", async () => {
    expect(pair.left.ping(SERVER)).toBe(1);
    pair.left.must("ip", "route", "add", "198.51.100.0/24", "via", SERVER);
    pair.left.must("ip", "route", "add", "blackhole", "203.0.113.0/24");
    const ask = (...lines: string[]): string => {
      const { status, stdout, stderr } = xdpctl(pair.left, ["repl"], `${lines.join("\n")}\n`);
      expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
      return stdout;
    };
    const text = ask(
      'r = fib_lookup("198.51.100.9")',
      "print(r.interface, r.ifindex, r.via, r.source, r.mtu, #r.dst_mac, #r.src_mac)",
      `=fib_lookup("${SERVER}").via`,
      '=fib_lookup("203.0.113.1")',
      '=fib_lookup("10.77.1.1")',
      '=fib_lookup("fd77:2::2", "eth0")',
    );
    expect(text.split("\n")).toEqual([
      "eth1\t21\t10.77.2.2\t10.77.2.1\t1500\t17\t17",
      "nil",
      "nil\tthe route is a black hole",
      "nil\tit is this machine's own, or there is no route",
      "nil\tforwarding is off on eth0 (sysctl net.ipv6.conf.eth0.forwarding)",
      "",
    ]);
  });
});

/** Sends a datagram to port 9 of the router, and says what came back on standard output. */
const ask = (text: string): string =>
  pair.right
    .must(
      process.execPath,
      "-e",
      `const s = require("node:dgram").createSocket("udp4");
       s.on("message", (m) => { console.log(String(m)); process.exit(); });
       s.on("error", () => { console.log("refused"); process.exit(); });
       s.connect(9, "${pair.leftAddress}", () => s.send("${text}"));
       setTimeout(() => { console.log("nothing"); process.exit(); }, 500);`,
    )
    .trim();

describe("answers that are frames", () => {
  it("a packet may be changed and passed, sent back, or sent elsewhere", async () => {
    const echo = new Running(
      pair.left.argv(
        process.execPath,
        "-e",
        `const s = require("node:dgram").createSocket("udp4");
         s.on("message", (m, from) => s.send("got " + m, from.port, from.address));
         s.bind(9, () => console.log("up"));`,
      ),
    );
    running.push(echo);
    await echo.sees("up");
    const file = policy(
      "change.lua",
      "local calls = 0",
      'on("packet", { interface = "eth0", protocol = "udp", port = 9 }, function(p)',
      "  local d, text = p:data(), p:string(p.payload, p.payload_length)",
      '  if text == "down" then',
      "    d:segment(p.payload):layout{ word = {0, 32} }.word = 0x65746968", // "hite", the least byte first
      "    return p:pass(d)",
      "  end",
      '  if text == "block" then maps.deny_v4:set({ prefixLen = 32, addr = p.src }, { prefixLen = 32 }) end',
      '  if text == "long" then return p:send(p:string(0) .. string.rep("x", 4000)) end',
      '  if text == "where" then return p:redirect("eth9") end',
      '  if text == "gone" then return p:redirect(999) end',
      "end)",
      // It sees what the first has made of it.
      'on("packet", { interface = "eth0", protocol = "udp", port = 9 }, function(p)',
      '  log("second: %s on %d", p:string(p.payload, p.payload_length), p.ifindex)',
      "end)",
    );
    const policies = await run(file);
    expect(ask("down")).toBe("got hite");
    await policies.sees(/second: hite on 11/);
    expect(ask("up")).toBe("got up");
    expect(ask("long")).toBe("got long");
    await policies.sees(/change\.lua:9: a frame has 14 to 3384 bytes, not 4\d+/);
    expect(ask("where")).toBe("got where");
    await policies.sees(/there is no interface eth9 to redirect to/);
    expect(ask("gone")).toBe("nothing");
    await policies.sees(/eth0: packets can't be redirected to interface 999: it is gone/);
    expect(ask("block")).toBe("got block");
    expect(ask("again")).toBe("nothing");
  });

  it("a program of one's own decides what a hook sees, and tells it what it found", async () => {
    const object = join(folder, "ask.bpf.o");
    writeFileSync(
      object,
      compileBpf(
        `struct { __uint(type, BPF_MAP_TYPE_XSKMAP); __uint(max_entries, 64); __type(key, __u32); __type(value, __u32); } xsks SEC(".maps");
         struct found { __u32 payload; __u32 times; };
         static __u32 times;
         SEC("xdp") int ask(struct xdp_md *ctx) {
           struct found *found;
           unsigned char *data = (void *)(long)ctx->data;
           if (data + 42 > (unsigned char *)(long)ctx->data_end) return XDP_PASS;
           if (data[12] != 8 || data[13] != 0 || data[23] != 17 || data[37] != 9) return XDP_PASS;
           if (bpf_xdp_adjust_meta(ctx, -(int)sizeof(*found))) return XDP_ABORTED;
           found = (void *)(long)ctx->data_meta;
           if ((void *)(found + 1) > (void *)(long)ctx->data) return XDP_ABORTED;
           found->payload = 42;
           found->times = __sync_fetch_and_add(&times, 1);
           return bpf_redirect_map(&xsks, ctx->rx_queue_index, XDP_PASS);
         }`,
        "ask",
      ),
    );
    const file = policy(
      "ask.lua",
      "local found = data.layout{ payload = {0, 32}, times = {32, 32} }",
      'on("packet", { interface = "eth0" }, function(p)',
      "  local m = p:meta(8):layout(found)",
      '  if p:string(m.payload, 4) ~= "pass" then return p:udp_reply(p:string(m.payload, 2) .. m.times) end',
      "end)",
    );
    const policies = Running.xdpctl(pair.left, "run", object, "eth0", "--policy", file);
    running.push(policies);
    await policies.sees(/^ask +running/m);
    expect([ask("a."), ask("b."), ask("pass")]).toEqual(["a.0", "b.1", "refused"]);
    expect(xdpctl(pair.left, ["policy", "unload", "ask"])).toMatchObject({ status: 0 });
    expect(ask("c.")).toBe("refused");
  });

  it("the REPL's own hooks see packets until they are stopped", async () => {
    const repl = Running.xdpctl(pair.left, "repl");
    running.push(repl);
    const type = async (line: string, sees: RegExp): Promise<void> => {
      const from = repl.stdout.length;
      repl.write(`${line}\n`);
      await repl.sees(sees, from);
    };
    await type(
      'on("packet", print)',
      /packet hook 1[\s\S]*no interface has a guard: packets are not seen until one has/,
    );
    await type("stop 1", /(?:)/);
    await type("load guard eth0", /eth0 +guard +native/);
    await type(
      'on("packet", { protocol = "udp", port = 9 }, function(p) return p:udp_reply("typed") end)',
      /packet hook 2 \(stop with `stop 2`\)/,
    );
    expect(ask("x")).toBe("typed");
    await type("stop 2", /(?:)/);
    await type("=1", /1/);
    expect(ask("x")).toBe("refused");
    await type("exit", /(?:)/);
    expect((await repl.ended()).status).toBe(0);
  });
});
