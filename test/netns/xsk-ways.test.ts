// SPDX-License-Identifier: MIT
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { XdpctlError } from "../../src/errors/index.js";
import { serveAll } from "../../src/xsk/index.js";
import { isRoot } from "../fixtures/needs.js";
import { connect, TestNamespace, TestPair } from "../fixtures/netns.js";
import { listen, listenUdp, say } from "../fixtures/talkers.js";
import { TestWire } from "../fixtures/wire.js";
import { type Ended, Running, xdpctl } from "../fixtures/xdpctl.js";
import { interrupt, Programs } from "../fixtures/xsk-programs.js";

const programs = new Programs();
afterEach(() => programs.close());

/** One that tells its numbers as JSON, again and again. */
async function telling(at: TestNamespace, ...args: string[]): Promise<Running> {
  const program = Running.xdpctl(at, "xsk", ...args, "--json", "--stats", "100ms");
  programs.keep(program);
  await program.sees("\n");
  return program;
}

/** Each with what it needs behind the two interfaces. */
const PAIRS = [
  ["forward", []],
  ["filter", ["--match", "pineapple"]],
  ["change-word", ["--from", "apple", "--to", "fig"]],
] as const;

describe.skipIf(!isRoot)("between two interfaces, in generic mode", () => {
  let wire: TestWire;
  beforeAll(() => {
    wire = new TestWire();
  });
  afterAll(() => wire?.close());

  const generic = async (name: string, ...args: string[]): Promise<Running> => {
    const program = await programs.xsk(wire.middle, name, "veth0", "veth2", ...args, "--mode", "generic");
    expect(program.stderr).toMatch(/veth0 +queue 0 +generic +copy\nveth2 +queue 0 +generic +copy/);
    return program;
  };

  test("forward", async () => {
    const forward = await generic("forward");
    expect(wire.left.ping("10.0.0.7", 3)).toBe(3);
    expect(wire.left.ping("2001:db8::7", 3)).toBe(3);
    await interrupt(forward);
    expect(wire.left.ping("10.0.0.7")).toBe(0);
  });

  test("filter", async () => {
    const filter = await generic("filter", "--match", "pineapple");
    const server = await programs.start(wire.right, listen(80));
    expect(wire.left.must(...say("10.0.0.7", 80, "apple ", "a pineapple"))).toBe("ECONNRESET\n");
    await server.sees(JSON.stringify({ text: "apple ", end: "ECONNRESET" }));
    expect(wire.left.must(...say("10.0.0.7", 80, "apple "))).toBe("FIN\n");
    expect(await interrupt(filter)).toMatch(/resets +2 /);
  });

  test("change-word", async () => {
    const change = await generic("change-word", "--from", "apple", "--to", "watermelon");
    const listener = await programs.start(wire.right, listenUdp(8080));
    for (const to of ["10.0.0.7", "2001:db8::7"])
      wire.left.must("sh", "-c", `printf 'apple pie' | timeout 1 nc -u -q 0 ${to} 8080`);
    await listener.sees(/("watermelon pie"\n){2}/);
    await interrupt(change);
  });
});

describe.skipIf(!isRoot)("while a command runs", () => {
  let wire: TestWire;
  beforeAll(() => {
    wire = new TestWire();
  });
  afterAll(() => wire?.close());

  /** A third cable of the middle, so that the wire stays for the next test. */
  function cable(): void {
    wire.left.must("ip", "link", "add", "out0", "type", "veth", "peer", "name", "in0", "netns", wire.middle.name);
    wire.left.must("ip", "link", "set", "out0", "up");
    wire.middle.must("ip", "link", "set", "in0", "up");
  }
  afterEach(() => void wire.left.exec(["ip", "link", "del", "out0"]));

  const ended = async (program: Running): Promise<Ended> => {
    const late = setTimeout(() => program.signal("SIGKILL"), 5000);
    const end = await program.ended();
    clearTimeout(late);
    return end;
  };
  /** Nothing of it is left on the interface that stays. */
  const freed = (name: string): void => expect(wire.middle.must("ip", "link", "show", name)).not.toContain("prog/xdp");

  test.each(PAIRS)("%s: an interface that is deleted, set down, or renamed", async (name, args) => {
    for (const [change, code, exit] of [
      [["del", "in0"], "XDPCTL_E_INTERFACE_GONE", 5],
      [["set", "in0", "down"], "XDPCTL_E_INTERFACE_DOWN", 4],
    ] as const) {
      cable();
      const program = await telling(wire.middle, name, "in0", "veth2", ...args);
      wire.middle.must("ip", "link", ...change);
      const { status, stdout, stderr } = await ended(program);
      expect({ status, code: /XDPCTL_E_\w+/.exec(stderr)?.[0] }).toEqual({ status: exit, code });
      // The numbers up to then are told.
      expect(
        stdout
          .trim()
          .split("\n")
          .filter((line) => line.includes('"last":true')),
      ).toHaveLength(2);
      freed("veth2");
      wire.left.exec(["ip", "link", "del", "out0"]);
    }
    const program = await programs.xsk(wire.middle, name, "veth0", "veth2", ...args);
    for (const [from, to] of [
      ["veth0", "other0"],
      ["other0", "veth0"],
    ] as const) {
      wire.middle.must("ip", "link", "set", from, "name", to);
      expect(wire.left.ping("10.0.0.7", 2)).toBe(2);
    }
    await interrupt(program);
    freed("veth0");
  });

  test("a second socket on a queue, and a queue that isn't there: neither interface is taken", async () => {
    const program = await programs.xsk(wire.middle, "forward", "veth0", "veth2");
    cable();
    for (const [args, code] of [
      [["forward", "in0", "veth2"], "XDPCTL_E_QUEUE_BUSY"],
      [["echo", "veth0", "--address", "10.0.0.9"], "XDPCTL_E_QUEUE_BUSY"],
      [["forward", "in0", "veth2", "--queue", "7"], "XDPCTL_E_NO_QUEUE"],
      [["filter", "in0", "veth9", "--match", "x"], "XDPCTL_E_NO_INTERFACE"],
    ] as const) {
      const { status, stderr } = xdpctl(wire.middle, ["xsk", ...args, "--for", "1s"]);
      expect([args[0], /XDPCTL_E_\w+/.exec(stderr)?.[0]]).toEqual([args[0], code]);
      expect(status).not.toBe(1);
      freed("in0");
    }
    expect(wire.left.ping("10.0.0.7", 2)).toBe(2);
    await interrupt(program);
  });

  test.each([
    [["del", "in0"], "XDPCTL_E_INTERFACE_GONE"],
    [["set", "in0", "down"], "XDPCTL_E_INTERFACE_DOWN"],
  ] as const)("serveAll: %s ends it", async (change, code) => {
    cable();
    const module = new URL("../fixtures/xsk/echo.mjs", import.meta.url);
    const served = await wire.middle.run(() => serveAll("in0", module, { umem: { frameCount: 1024 } }));
    wire.middle.must("ip", "link", ...change);
    const error: unknown = await served.done.catch((reason: unknown) => reason);
    expect(XdpctlError.is(error) ? error.code : error).toBe(code);
    await served.stop();
  });

  test("serveAll: a renamed interface is served on", async () => {
    cable();
    const module = new URL("../fixtures/xsk/echo.mjs", import.meta.url);
    const served = await wire.middle.run(() => serveAll("in0", module, { umem: { frameCount: 1024 } }));
    wire.middle.must("ip", "link", "set", "in0", "name", "other0");
    wire.left.must("ip", "address", "add", "10.79.1.1/24", "dev", "out0");
    wire.left.exec(["ping", "-c1", "-W0.1", "10.79.1.2"]);
    await expect.poll(async () => (await served.statistics()).total.completed).toBeGreaterThan(0);
    await served.stop();
    await served.done;
    freed("other0");
  });
});

describe.skipIf(!isRoot)("one interface", () => {
  test("echo --reflect sends everything back, its addresses swapped", async () => {
    using pair = new TestPair({ net: 44 });
    pair.left.must("ip", "neigh", "replace", "10.77.44.9", "lladdr", "02:00:00:00:00:09", "dev", "eth0");
    const echo = await telling(pair.right, "echo", "eth0", "--reflect");
    const before = Number(/eth0:\s*\d+\s+(\d+)/.exec(pair.left.must("cat", "/proc/net/dev"))?.[1]);
    expect(pair.left.ping("10.77.44.9", 3)).toBe(0);
    const after = Number(/eth0:\s*\d+\s+(\d+)/.exec(pair.left.must("cat", "/proc/net/dev"))?.[1]);
    expect(after - before).toBeGreaterThanOrEqual(3);
    const last = JSON.parse((await interrupt(echo)).trim().split("\n").pop() ?? "") as {
      received: number;
      sent: number;
      completed: number;
    };
    expect(last.received).toBeGreaterThanOrEqual(3);
    expect([last.sent, last.completed]).toEqual([last.received, last.received]);
  });

  test("tunnel over IPv6", async () => {
    const [client, here, there, server] = ["c", "g", "h", "s"].map((label) => new TestNamespace(label)) as [
      TestNamespace,
      TestNamespace,
      TestNamespace,
      TestNamespace,
    ];
    try {
      connect(client, here, { net: 73 });
      connect(here, there, { net: 74, left: "wan", right: "wan" });
      connect(server, there, { net: 73 });
      server.must("ip", "address", "del", "10.77.73.1/24", "dev", "eth0");
      server.must("ip", "address", "add", "10.77.73.7/24", "dev", "eth0");
      const [near, far] = ["[fd77:74::1]:4000", "[fd77:74::2]:4000"];
      const mss = ["--mss", "1398"];
      const tunnels = [
        await programs.xsk(here, "tunnel", "eth0", "--local", near, "--remote", far, ...mss),
        await programs.xsk(there, "tunnel", "eth0", "--local", far, "--remote", near, ...mss),
      ];
      expect(client.ping("10.77.73.7", 3)).toBe(3);
      const listener = await programs.start(server, listen(80));
      expect(client.must(...say("10.77.73.7", 80, "x".repeat(20_000)))).toBe("FIN\n");
      await listener.sees(`${"x".repeat(20_000)}","end":"FIN"`);
      for (const told of await Promise.all(tunnels.map((tunnel) => interrupt(tunnel))))
        expect(told).toMatch(/lost +0 /);
    } finally {
      for (const namespace of [client, here, there, server]) namespace.close();
    }
  });
});
