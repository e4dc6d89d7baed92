// SPDX-License-Identifier: MIT
import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { hasTool, isRoot, needs } from "../fixtures/needs.js";
import { connect, TestNamespace, TestPair } from "../fixtures/netns.js";
import { fetchHash, listen, listenUdp, say, serveFile } from "../fixtures/talkers.js";
import { TestWire } from "../fixtures/wire.js";
import { Running } from "../fixtures/xdpctl.js";
import { interrupt, Programs } from "../fixtures/xsk-programs.js";

const programs = new Programs();
let folder: string;
let file: string;
let hash: string;
beforeAll(() => {
  folder = mkdtempSync(`${tmpdir()}/xdpctl-xsk-`);
  file = `${folder}/file`;
  const bytes = randomBytes(2_000_000);
  writeFileSync(file, bytes);
  hash = createHash("sha256").update(bytes).digest("hex");
});
afterEach(() => programs.close());
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.skipIf(!isRoot)("xsk echo", () => {
  let pair: TestPair;
  beforeAll(() => {
    pair = new TestPair({ net: 61 });
  });
  afterAll(() => pair?.close());

  test.each(["command", "program"])("arping, ping, ping -6, 2ping and nc -u are answered (%s)", async (how) => {
    const { left, right, rightAddress, rightAddress6 } = pair;
    const echo =
      how === "command" ? await programs.xsk(right, "echo", "eth0") : await programs.example(right, "echo", "eth0");
    expect(left.ping(rightAddress, 3)).toBe(3);
    expect(left.ping(rightAddress6, 3)).toBe(3);
    expect(left.ping("10.77.61.9", 1)).toBe(0);
    if (hasTool("nc"))
      for (const to of [rightAddress, rightAddress6])
        expect(left.exec(["nc", "-u", "-w", "1", to, "7"], { input: "hello\n" }).stdout).toBe("hello\n");
    if (hasTool("arping"))
      expect(left.must("arping", "-c", "2", "-W", "0.05", "-i", "eth0", rightAddress)).toContain("2 packets received");
    if (hasTool("2ping"))
      expect(left.must("2ping", "-c", "2", "-i", "0.1", "--port", "7", rightAddress)).toContain("2 received, 0% ping");
    const told = await interrupt(echo);
    expect(told).toMatch(how === "command" ? /answered +\d\d/ : /\d\d of \d+ frames answered/);
    // The kernel has its interface back.
    expect(left.ping(rightAddress)).toBe(1);
  });

  test("--address is one that the interface lacks; SIGTERM ends it well", async () => {
    const echo = await programs.xsk(pair.right, "echo", "eth0", "--address", "10.77.61.9");
    expect(pair.left.ping("10.77.61.9", 2)).toBe(2);
    expect(pair.left.ping(pair.rightAddress)).toBe(0);
    await interrupt(echo, "SIGTERM");
  });
});

describe.skipIf(!isRoot)("xsk drop", () => {
  test("the program receives, and nobody is answered", async () => {
    using pair = new TestPair({ net: 63 });
    const drop = await programs.example(pair.right, "drop", "eth0");
    expect(pair.left.ping(pair.rightAddress)).toBe(0);
    expect(await interrupt(drop)).toMatch(/^[1-9]\d* packets dropped$/m);
  });
});

/** What a tunnel carries: both gateways are machines of their own. */
describe.skipIf(!isRoot)("xsk tunnel", () => {
  let client: TestNamespace;
  let server: TestNamespace;
  let here: TestNamespace;
  let there: TestNamespace;
  beforeAll(() => {
    [client, here, there, server] = ["c", "g", "h", "s"].map((label) => new TestNamespace(label)) as [
      TestNamespace,
      TestNamespace,
      TestNamespace,
      TestNamespace,
    ];
    // The two outer cables are one network to their outer ends: only the tunnel joins them.
    connect(client, here, { net: 71 });
    connect(here, there, { net: 72, left: "wan", right: "wan" });
    connect(server, there, { net: 71 });
    server.must("ip", "address", "del", "10.77.71.1/24", "dev", "eth0");
    server.must("ip", "address", "add", "10.77.71.7/24", "dev", "eth0");
  });
  afterAll(() => {
    for (const namespace of [client, here, there, server]) namespace?.close();
  });

  test.each(["command", "program"])("ping, the MSS of a SYN, and a download of the same SHA-256 (%s)", async (how) => {
    const [near, far] = ["10.77.72.1:4000", "10.77.72.2:4000"];
    const tunnels =
      how === "command"
        ? [
            await programs.xsk(here, "tunnel", "eth0", "--local", near, "--remote", far),
            await programs.xsk(there, "tunnel", "eth0", "--local", far, "--remote", near),
          ]
        : [
            await programs.example(here, "tunnel", "eth0", near, far),
            await programs.example(there, "tunnel", "eth0", far, near),
          ];
    expect(client.ping("10.77.71.7", 3)).toBe(3);
    const seen = new Running(server.argv("tcpdump", "-l", "-n", "-vv", "-i", "eth0", "tcp[tcpflags] & tcp-syn != 0"));
    programs.keep(seen);
    await seen.says("listening on");
    const web = await programs.start(server, serveFile(8000, file));
    expect(client.must(...fetchHash("http://10.77.71.7:8000/")).trim()).toBe(hash);
    await web.close();
    // The SYN was 1460 when it left, and its checksum is right as it arrives.
    await seen.sees(/Flags \[S\], cksum \S+ \(correct\).*mss 1418/);
    await interrupt(seen);
    const told = await Promise.all(tunnels.map((tunnel) => interrupt(tunnel)));
    for (const text of told) expect(text).toMatch(how === "command" ? /lost +0 / : /frames in, \d+ out/);
  });
});

describe.skipIf(!isRoot)("between two interfaces", () => {
  let wire: TestWire;
  beforeAll(() => {
    wire = new TestWire();
  });
  afterAll(() => wire?.close());

  async function download(from: TestNamespace, at: TestNamespace, address: string): Promise<void> {
    const server = await programs.start(at, serveFile(8000, file));
    expect(from.must(...fetchHash(`http://${address}:8000/`)).trim()).toBe(hash);
    await server.close();
  }

  test.each(["command", "program"])("forward: ping, IPv6, and a download of the same SHA-256 (%s)", async (how) => {
    const { left, middle, right } = wire;
    const forward =
      how === "command"
        ? await programs.xsk(middle, "forward", "veth0", "veth2")
        : await programs.example(middle, "forward", "veth0", "veth2");
    expect(left.ping("10.0.0.7", 3)).toBe(3);
    expect(left.ping("2001:db8::7", 3)).toBe(3);
    await download(left, right, "10.0.0.7");
    await interrupt(forward);
    expect(left.ping("10.0.0.7")).toBe(0);
  });

  test("forward: both sides see the same bytes in the same order", async (context) => {
    needs(context, hasTool("tcpdump"), "tcpdump");
    const { left, middle, right } = wire;
    const forward = await programs.xsk(middle, "forward", "veth0", "veth2", "--dump");
    const capture = async (at: TestNamespace, name: string): Promise<() => Promise<string>> => {
      const path = `${folder}/${name}.pcap`;
      const tcpdump = new Running(
        at.argv("tcpdump", "--immediate-mode", "-U", "-Z", "root", "-i", name, "-w", path, "icmp"),
      );
      programs.keep(tcpdump);
      await tcpdump.says("listening on");
      return async () => {
        await interrupt(tcpdump);
        return at.must("tcpdump", "-n", "-t", "-XX", "-r", path);
      };
    };
    const ends = [await capture(left, "veth1"), await capture(right, "veth3")];
    left.must("ping", "-q", "-c", "30", "-i", "0.01", "-s", "1400", "-p", "c0ffee", "10.0.0.7");
    // Requests and replies, each with 16 bytes of the file's own.
    for (const name of ["veth1", "veth3"])
      await expect.poll(() => statSync(`${folder}/${name}.pcap`).size).toBeGreaterThanOrEqual(60 * (1442 + 16));
    const [before, after] = [await ends[0]?.(), await ends[1]?.()];
    expect(after).toBe(before);
    expect(after?.match(/echo request.*seq \d+/g)).toHaveLength(30);
    const told = await interrupt(forward);
    expect(told).toContain("veth0 → veth2  1442 bytes\n---packet dump---\nchunk addr: ");
  });

  test("forward --dump: a reader that is too slow misses frames, not where they went", async () => {
    const { left, middle } = wire;
    const forward = await programs.xsk(middle, "forward", "veth0", "veth2", "--dump", "--count", "600");
    forward.child.stdout?.pause();
    expect(left.ping("10.0.0.7", 3)).toBe(3);
    // Each is 4.4 kB of text, of which 256 kB wait.
    left.must("ping", "-q", "-c", "300", "-i", "0.002", "-s", "1400", "10.0.0.7");
    forward.child.stdout?.resume();
    const { status, stdout } = await forward.ended();
    expect(status).toBe(0);
    expect(stdout).toMatch(/^not shown +[1-9]\d\d? /m);
    expect(stdout).toMatch(/^forwarded +\d+ +\S+ +\d+ .*to another socket$/m);
  });

  test("change-word: what would be longer than the MTU passes as it was", async () => {
    const { left, middle, right } = wire;
    const change = await programs.xsk(middle, "change-word", "veth0", "veth2", "--from", "a", "--to", "bb");
    const listener = await programs.start(right, listenUdp(8080));
    const text = "a".repeat(1000);
    left.must("sh", "-c", `printf '${text}' | timeout 1 nc -u -q 0 10.0.0.7 8080`);
    await listener.sees(text);
    expect(await interrupt(change)).toMatch(/^no room +1 /m);
  });

  test.each(["command", "program"])(
    "filter: the word is cut at both ends, and passes on another port (%s)",
    async (how) => {
      const { left, middle, right } = wire;
      const filter =
        how === "command"
          ? await programs.xsk(middle, "filter", "veth0", "veth2", "--match", "pineapple")
          : await programs.example(middle, "filter", "veth0", "veth2", "pineapple");
      const on80 = await programs.start(right, listen(80));
      expect(left.must(...say("10.0.0.7", 80, "apple ", "a pineapple"))).toBe("ECONNRESET\n");
      await on80.sees(JSON.stringify({ text: "apple ", end: "ECONNRESET" }));
      expect(left.must(...say("10.0.0.7", 80, "apple "))).toBe("FIN\n");
      const on8080 = await programs.start(right, listen(8080));
      expect(left.must(...say("10.0.0.7", 8080, "a pineapple"))).toBe("FIN\n");
      await on8080.sees(JSON.stringify({ text: "a pineapple", end: "FIN" }));
      expect(on80.stdout).not.toContain("pineapple");
      expect(await interrupt(filter)).toMatch(how === "command" ? /resets +2 / : /^1 segments cut$/m);
    },
  );

  test.each([
    ["command", "watermelon", "watermelon pie, watermelon"],
    ["command", "fig", "fig pie, fig"],
    ["program", "watermelon", "watermelon pie, watermelon"],
  ])("change-word: apple becomes another word (%s, %s)", async (how, to, expected) => {
    const { left, middle, right } = wire;
    const change =
      how === "command"
        ? await programs.xsk(middle, "change-word", "veth0", "veth2", "--from", "apple", "--to", to)
        : await programs.example(middle, "change-word", "veth0", "veth2", "apple", to);
    // Its kernel drops what has a wrong checksum or length.
    const listener = await programs.start(right, listenUdp(8080));
    for (const [at, text] of [
      ["10.0.0.7", "apple pie, apple"],
      ["2001:db8::7", "apple pie, apple"],
      ["10.0.0.7", "no such fruit"],
    ] as const)
      left.must("sh", "-c", `printf '${text}' | timeout 1 nc -u -q 0 ${at} 8080`);
    await listener.sees("no such fruit");
    const told = listener.stdout.split("\n").slice(1, 4);
    expect(told.map((line) => JSON.parse(line) as string)).toEqual([expected, expected, "no such fruit"]);
    await interrupt(change);
  });
});
