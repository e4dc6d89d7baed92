// SPDX-License-Identifier: MIT
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { statusTable, withRates } from "../../src/cli/commands/status.js";
import { asksForJson, execute } from "../../src/cli/execute.js";
import { layout } from "../../src/cli/table.js";
import { XdpctlError } from "../../src/errors/index.js";
import type { PacketEvent, PolicyEvent, XdpctlEvent } from "../../src/events/index.js";
import type { Methods, PolicyStatus, Rule } from "../../src/rpc/index.js";
import { counters, type FakeContext, FakeBackend, fakeContext, interfaceStatus } from "../fixtures/backend.js";

function attachmentsOf(params: Methods["load"]["params"]) {
  const attachments = params.interfaces.map((name) => ({
    interface: name,
    ifindex: 3,
    program: "drop",
    id: 42,
    mode: "native",
    pinned: params.keep,
  }));
  return { attachments };
}

async function run(line: string | string[], backend: FakeBackend, kind: "shell" | "repl" | "script" = "shell") {
  const context = fakeContext(backend, kind);
  const code = await execute(typeof line === "string" ? line.split(" ") : line, context);
  return { code, out: context.printed.out, err: context.printed.err, asked: backend.asked };
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 3000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error("waited in vain");
    await new Promise((done) => setImmediate(done));
  }
}

describe("the command line", () => {
  const none = (): FakeBackend => new FakeBackend();

  it.each([
    ["lod drop eth1", "unknown command lod (did you mean load?)"],
    ["frobnicate", "unknown command frobnicate"],
    ["map lss", "unknown command map lss (did you mean ls?)"],
    ["map", "xdpctl map needs one of its commands: ls, dump, get, set, delete, watch"],
    ["load", "missing required argument 'program'"],
    ["load drop", "missing required argument 'interface'"],
    ["load drop eth1 --mod native", "unknown option '--mod' (did you mean --mode?)"],
    ["load drop eth1 --mode fast", '"fast" is no mode'],
    ["load drop eth1 --ring-size big", '"big" is no size'],
    ["rules now", "too many arguments"],
    ["unload", "name the interfaces, or write --all"],
    ["lab deploy a.lab.yml --kernel 6.1", "--kernel is of a guest: `--in-vm` deploys the lab in one"],
    ["lab deploy a.lab.yml --cpus 2", "--cpus is of a guest"],
    ["lab deploy a.lab.yml --in-vm --mem some", '"some" is no size'],
    ["unload eth1 --all", "name the interfaces, or write --all"],
    ["deny", "name an address, or a port with --port"],
    ["deny 1.2.3.4 --proto tcp", "--proto goes with --port"],
    ["deny --all", "--all goes with --delete"],
    ["limit 0.0.0.0/0", "a limit needs a rate"],
    ["limit 0.0.0.0/0 --rate 1/m", "1/m is less than one packet a second"],
    ["events --type flo", '"flo" is no type of event (did you mean flow?)'],
    ["--nonsense", "unknown option '--nonsense'"],
  ])("refuses `%s` with status 2 before anything is asked", async (line, message) => {
    const { code, out, err, asked } = await run(line, none());
    expect(err).toContain(`error: ${message}`);
    expect(err).toContain("XDPCTL_E_USAGE");
    expect({ code, out, asked }).toEqual({ code: 2, out: "", asked: [] });
  });

  it.each([
    ["load", "drop", ""],
    ["load", "drop", "eth0", ""],
    ["run", "drop", ""],
    ["unload", ""],
    ["status", ""],
    ["status", "--watch", "1s", ""],
    ["events", "--interface", ""],
    ["rules", "--interface", ""],
    ["deny", "192.0.2.1", "--interface", ""],
    ["allow", "192.0.2.1", "--interface="],
  ])("refuses an empty name of an interface: %j %j %j", async (...line) => {
    const { code, out, err, asked } = await run(line as string[], none());
    expect(err).toMatch(/^error: the name of an interface is empty {2}XDPCTL_E_USAGE\n/);
    expect({ code, out, asked }).toEqual({ code: 2, out: "", asked: [] });
  });

  it("prints errors as one JSON object with --json, usage errors too", async () => {
    const { code, out, err } = await run("load --json", none());
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(JSON.parse(err)).toMatchObject({ error: { code: "XDPCTL_E_USAGE", class: "usage", exitCode: 2 } });
    expect(err.trimEnd()).not.toContain("\n");
  });

  it("knows which --json is its own", () => {
    expect(asksForJson(["status", "--json"])).toBe(true);
    expect(asksForJson(["status", "--", "--json"])).toBe(false);
    expect(asksForJson(["lab", "exec", "client", "ip", "--json"])).toBe(false);
  });

  it.each(["load", "status", "deny", "map", "map dump", "events", "policy", "policy load", "lab", "genl", "version"])(
    "shows examples in `%s --help`, and asks nothing",
    async (line) => {
      for (const words of [`${line} --help`, `help ${line}`]) {
        const { code, out, err, asked } = await run(words, none());
        expect(out).toContain(`Usage: xdpctl ${line}`);
        expect(out).toMatch(/Examples:\n {2}\$ xdpctl /);
        expect({ code, err, asked }).toEqual({ code: 0, err: "", asked: [] });
      }
    },
  );

  it.each([
    ["XDPCTL_E_USAGE", 2],
    ["XDPCTL_E_PERMISSION", 3],
    ["XDPCTL_E_VERIFIER", 4],
    ["XDPCTL_E_NO_INTERFACE", 5],
    ["XDPCTL_E_OCCUPIED", 6],
    ["XDPCTL_E_BAD_OBJECT", 7],
    ["XDPCTL_E_MAP_FULL", 8],
  ] as const)("ends with %s as status %i", async (code, status) => {
    const backend = new FakeBackend({
      status: () => {
        throw new XdpctlError(code, "it failed");
      },
    });
    const result = await run("status", backend);
    expect(result.code).toBe(status);
    expect(result.err).toMatch(new RegExp(`^error: it failed {2}${code}\n`));
  });

  it("turns an unexpected error into status 1", async () => {
    const backend = new FakeBackend({
      status: () => {
        throw new TypeError("x is undefined");
      },
    });
    expect(await run("status", backend)).toMatchObject({ code: 1, out: "" });
  });
});

describe("load", () => {
  it("prints a line for each interface, and says what stays", async () => {
    const backend = new FakeBackend({ load: attachmentsOf });
    const { code, out, asked } = await run("load drop eth1 eth10 eth1", backend);
    expect(code).toBe(0);
    expect(out).toBe(
      "eth1   drop  native  id 42  (pinned; `xdpctl unload eth1` removes it)\n" +
        "eth10  drop  native  id 42  (pinned; `xdpctl unload eth10` removes it)\n",
    );
    expect(asked).toEqual([
      {
        method: "load",
        params: { program: "drop", interfaces: ["eth1", "eth10"], mode: "auto", force: false, keep: true },
      },
    ]);
  });

  it("gives the REPL's programs to the REPL, and sends paths as absolute ones", async () => {
    const backend = new FakeBackend({ load: attachmentsOf });
    const { out, asked } = await run("load x.bpf.o eth1 -m native --force -p main --ring-size 1M", backend, "repl");
    expect(out).toBe("eth1  drop  native  id 42\n");
    expect(asked[0]?.params).toEqual({
      program: resolve("x.bpf.o"),
      interfaces: ["eth1"],
      mode: "native",
      force: true,
      keep: false,
      section: "main",
      ringSize: 1 << 20,
    });
  });

  it("says why it is not native, and what it replaced", async () => {
    const attachment = {
      interface: "eth1",
      ifindex: 3,
      program: "drop",
      id: 42,
      mode: "generic",
      pinned: false,
      fallback: "the driver has no XDP (EOPNOTSUPP)",
      replaced: { program: "pass", id: 7, ours: true },
    };
    const { out } = await run("load drop eth1", new FakeBackend({ load: () => ({ attachments: [attachment] }) }));
    expect(out).toContain("(not native: the driver has no XDP (EOPNOTSUPP); replaced pass id 7)");
  });

  const refused = new FakeBackend({
    load: () => {
      throw new XdpctlError("XDPCTL_E_VERIFIER", "the verifier refused `f`", { lines: ["f.c:31"], log: "all\nof it" });
    },
  });

  it("says how to get the verifier's whole log", async () => {
    const { code, err } = await run(["load", "./a b.o", "eth1"], refused);
    expect(code).toBe(4);
    expect(err).toContain("  whole log: xdpctl load './a b.o' eth1 --verifier-log -\n");
  });

  it("prints or writes the log where it was asked for", async () => {
    expect((await run("load a.o eth1 --verifier-log -", refused)).out).toBe("all\nof it\n");
    const folder = mkdtempSync(join(tmpdir(), "xdpctl-cli-"));
    try {
      const file = join(folder, "log");
      const { code, out } = await run(["load", "a.o", "eth1", "--verifier-log", file], refused);
      expect({ code, out, log: readFileSync(file, "utf8") }).toEqual({ code: 4, out: "", log: "all\nof it\n" });
    } finally {
      rmSync(folder, { recursive: true });
    }
    expect(existsSync(folder)).toBe(false);
  });
});

describe("status", () => {
  const now = Date.parse("2026-01-01T00:02:03Z");
  const guard = interfaceStatus({
    interface: "eth1",
    ifindex: 3,
    program: "guard",
    mode: "native",
    id: 57,
    since: "2026-01-01T00:00:00Z",
    owner: "xdpctl",
    policies: ["portscan"],
    counters: counters(118_200, "18446744073709551615"),
    lost: 0,
  });
  const other = interfaceStatus({ interface: "veth7", program: "xdp_fwd", mode: "native", id: 12, owner: "other" });
  const interfaces = [guard, interfaceStatus({ interface: "eth0" }), other];

  it("shows totals where nobody counted per second", () => {
    const { columns, rows } = statusTable(interfaces, now);
    expect(layout(columns, rows)).toEqual([
      "INTERFACE  PROGRAM  MODE    ID  SINCE    PASS                  DROP  TX  REDIRECT  ABORTED  OWNER",
      "eth1       guard    native  57  2m 3s  118200  18446744073709551615   0         0        0  xdpctl (policy: portscan)",
      "eth0       –        –        –  –           –                     –   –         –        –  –",
      "veth7      xdp_fwd  native  12  –           ?                     ?   ?         ?        ?  someone else",
    ]);
  });

  it("shows packets per second where they are known, and lost events where there are some", () => {
    const known = { ...guard, counters: counters(5, 6, 3100), lost: 9 };
    const { columns, rows } = statusTable([known], now);
    expect(layout(columns, rows)).toEqual([
      "INTERFACE  PROGRAM  MODE    ID  SINCE  PASS  DROP  PASS/s  DROP/s  TX/s  REDIRECT/s  ABORTED  LOST  OWNER",
      "eth1       guard    native  57  2m 3s     5     6    3.1k    3.1k  3.1k        3.1k        0     9  xdpctl (policy: portscan)",
    ]);
  });

  it("computes rates from two samples, 64-bit counters exactly", () => {
    const at = (drop: string) => ({ interfaces: [{ ...guard, counters: counters(1, drop) }], controller: null });
    const filled = withRates(at("18446744073709551015"), at("18446744073709550015"), 2);
    expect(filled.interfaces[0]?.counters?.drop.perSecond).toBe(500);
    expect(filled.interfaces[0]?.counters?.pass.perSecond).toBe(0);
  });

  it("gives the same facts as JSON", async () => {
    const backend = new FakeBackend({ status: () => ({ interfaces, controller: null }) });
    const { out } = await run("status eth1 --json", backend);
    expect(JSON.parse(out)).toEqual({ interfaces, controller: null });
    expect(backend.asked[0]?.params).toEqual({ interfaces: ["eth1"] });
  });

  it("watches on the loop's timer until it is to end, one sample at a time", async () => {
    let answer: (value: unknown) => void = () => {};
    let asked = 0;
    const backend = new FakeBackend({
      status: () => {
        asked++;
        if (asked === 1) return { interfaces, controller: null };
        return new Promise((done) => {
          answer = done;
        });
      },
    });
    const context = fakeContext(backend);
    const running = execute(["status", "--watch", "2s", "--json"], context);
    await until(() => context.printed.out !== "");
    expect(context.fakeLoop.timers[0]).toMatchObject({ ms: 2000, open: true });
    context.fakeLoop.timers[0]?.fire();
    context.fakeLoop.timers[0]?.fire();
    expect(asked).toBe(2);
    answer({ interfaces: [], controller: null });
    await until(() => context.printed.out.split("\n").length === 3);
    context.abort.abort();
    expect(await running).toBe(0);
    expect(context.fakeLoop.timers[0]?.open).toBe(false);
    const [first, second] = context.printed.out
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { time: string });
    expect(first).toMatchObject({ interfaces });
    expect(second).toMatchObject({ interfaces: [] });
    expect(Date.parse(first?.time ?? "")).not.toBeNaN();
  });

  it("ends a watch whose controller goes away with its error", async () => {
    const backend = new FakeBackend({
      status: () => {
        throw new XdpctlError("XDPCTL_E_DISCONNECTED", "gone");
      },
    });
    expect(await run("status --watch", backend)).toMatchObject({ code: 4 });
  });
});

describe("rules", () => {
  const rule: Rule = {
    action: "deny",
    address: "198.51.100.0/24",
    port: null,
    proto: null,
    hits: 3,
    expires: null,
    owner: "",
    rate: null,
    burst: null,
    interfaces: ["eth1"],
  };
  const backend = () =>
    new FakeBackend({
      "rule.add": (spec) => ({ rule: { ...rule, action: spec.action, address: spec.address ?? null } }),
      "rule.delete": () => ({ deleted: 1 }),
      "rules.add": ({ rule: { action }, addresses }) => ({
        rules: addresses.map((address) => ({ ...rule, action, address })),
      }),
      "rules.delete": ({ addresses }) => ({ deleted: addresses.length }),
      rules: () => ({ rules: [rule] }),
    });

  it.each<[string, string, unknown]>([
    ["deny 198.51.100.0/24 --for 10m", "rule.add", { action: "deny", address: "198.51.100.0/24", expiresIn: 600 }],
    ["deny --port 23", "rule.add", { action: "deny", port: 23 }],
    [
      "deny 198.51.100.7 --port 22 --proto tcp",
      "rule.add",
      { action: "deny", address: "198.51.100.7", port: 22, proto: "tcp" },
    ],
    ["allow 192.0.2.10 -i eth1", "rule.add", { action: "allow", address: "192.0.2.10", interface: "eth1" }],
    [
      "limit 0.0.0.0/0 --rate 1000/s --burst 200",
      "rule.add",
      { action: "limit", address: "0.0.0.0/0", rate: 1000, burst: 200 },
    ],
    ["deny --delete 198.51.100.0/24", "rule.delete", { action: "deny", address: "198.51.100.0/24" }],
    ["deny --delete --all", "rule.delete", { action: "deny", all: true }],
    [
      "deny 192.0.2.1 192.0.2.2 --for 1m",
      "rules.add",
      { rule: { action: "deny", expiresIn: 60 }, addresses: ["192.0.2.1", "192.0.2.2"] },
    ],
    [
      "allow --delete 192.0.2.1 192.0.2.2",
      "rules.delete",
      { rule: { action: "allow" }, addresses: ["192.0.2.1", "192.0.2.2"] },
    ],
    ["limit --delete 0.0.0.0/0", "rule.delete", { action: "limit", address: "0.0.0.0/0" }],
  ])("`%s`", async (line, method, params) => {
    const { code, asked } = await run(line, backend());
    expect({ code, asked }).toEqual({ code: 0, asked: [{ method, params }] });
  });

  it("checks all addresses before the first is written", async () => {
    expect(await run("deny 192.0.2.1 nonsense", backend())).toMatchObject({ code: 2, asked: [] });
  });

  it("says what was written, and lists it", async () => {
    expect((await run("deny 198.51.100.0/24 192.0.2.1", backend())).out).toBe(
      "deny  198.51.100.0/24  on eth1\ndeny  192.0.2.1  on eth1\n",
    );
    expect((await run("rules", backend())).out).toContain("deny    198.51.100.0/24     –  –      –        3  –");
    expect(JSON.parse((await run("rules --json", backend())).out)).toEqual({ rules: [rule] });
  });
});

describe("map", () => {
  it("reads and writes entries as they are typed", async () => {
    const entry = { key: { addr: "10.0.0.0", prefixLen: 8 }, value: { hits: 1 } };
    const backend = new FakeBackend({
      "map.get": () => entry,
      "map.set": () => entry,
      "map.delete": () => ({ deleted: 1 }),
      "map.dump": () => ({ entries: [entry], truncated: true }),
    });
    const table = "ADDR      PREFIXLEN  HITS\n10.0.0.0          8     1\n";
    expect((await run("map get deny_v4 addr=10.0.0.0,prefixLen=8", backend)).out).toBe(table);
    expect((await run("map set deny_v4 addr=10.0.0.0,prefixLen=8 hits=1 --create", backend)).out).toBe(table);
    expect((await run("map delete deny_v4 1 2", backend)).out).toBe("2 entries deleted\n");
    expect(await run("map dump deny_v4 --limit 1", backend)).toMatchObject({
      out: table,
      err: "… there are more entries: see --limit\n",
    });
    const key = { addr: "10.0.0.0", prefixLen: 8 };
    expect(backend.asked.map(({ params }) => params)).toEqual([
      { map: "deny_v4", key },
      { map: "deny_v4", key, value: { hits: 1 }, create: true },
      { map: "deny_v4", key: 1 },
      { map: "deny_v4", key: 2 },
      { map: "deny_v4", limit: 1 },
    ]);
  });
});

describe("policy", () => {
  const policy: PolicyStatus = {
    name: "portscan",
    file: "/x/portscan.lua",
    state: "running",
    hooks: ["flow"],
    calls: 18_200,
    p50: 9,
    p99: 14,
    lost: 0,
    blocked: 3,
    restarts: 0,
    args: ["a"],
    lastError: null,
  };

  it("loads by absolute path with arguments, reloads with the same, lists", async () => {
    const backend = new FakeBackend({
      "policy.load": () => ({ policy, replaced: false }),
      "policy.list": () => ({ policies: [policy] }),
      "policy.unload": () => ({ removed: 3 }),
    });
    expect((await run("policy load portscan.lua a --name scan", backend)).out).toBe("portscan  running  hooks flow\n");
    expect((await run("policy ls", backend)).out).toMatch(/portscan {2}running {2}flow {3}18.2k {2} *9 µs {2}14 µs/);
    await run("policy reload portscan", backend);
    expect((await run("policy unload portscan", backend)).out).toBe("portscan  unloaded  3 rules removed\n");
    expect(backend.asked.filter(({ method }) => method === "policy.load").map(({ params }) => params)).toEqual([
      { file: resolve("portscan.lua"), args: ["a"], name: "scan" },
      { file: "/x/portscan.lua", args: ["a"], name: "portscan" },
    ]);
    const wrong = await run("policy reload portscam", backend);
    expect(wrong).toMatchObject({ code: 5 });
    expect(wrong.err).toContain("there is no policy portscam (did you mean portscan?)");
  });
});

describe("events", () => {
  const time = "2026-01-01T00:00:00.000Z";
  const deny: PacketEvent = {
    type: "deny",
    time,
    interface: "eth1",
    ifindex: 3,
    verdict: "DROP",
    reason: "deny-port",
    proto: "tcp",
    src: "198.51.100.7",
    dst: "192.168.6.1",
    sport: 4242,
    dport: 22,
    vlan: 0,
    length: 60,
    prefixLen: 0,
    tcpFlags: 2,
  };
  const log: PolicyEvent = { type: "policy", time, policy: "p", action: "log", text: "t" };

  function start(line: string): { context: FakeContext; backend: FakeBackend; running: Promise<number> } {
    const backend = new FakeBackend();
    const context = fakeContext(backend);
    return { context, backend, running: execute(line.split(" "), context) };
  }

  it("prints lines until SIGINT, and ends with 0", async () => {
    const { context, backend, running } = start("events");
    await until(() => backend.readers.size === 1);
    backend.emit(deny);
    backend.emit(log);
    await until(() => context.printed.out.split("\n").length === 3);
    context.abort.abort("SIGINT");
    expect(await running).toBe(0);
    expect(context.printed.out).toContain("eth1  deny  198.51.100.7:4242 → 192.168.6.1:22  tcp  rule port 22\n");
    expect(backend.readers.size).toBe(0);
  });

  it("asks for the types it was told, and always for losses", async () => {
    const { context, backend, running } = start("events --deny --type flow,link -i eth1");
    await until(() => backend.readers.size === 1);
    expect(backend.subscribed).toEqual([{ types: ["flow", "link", "deny", "lost", "exit"], interface: "eth1" }]);
    backend.emit({ type: "lost", time, where: "ring", name: "guard", count: 7 });
    await until(() => context.printed.out.includes("7 events (ring)"));
    context.abort.abort();
    expect(await running).toBe(0);
  });

  it("ends by itself after --count events, however many come at once", async () => {
    const backend = new FakeBackend();
    backend.events = Array.from({ length: 10 }, (): XdpctlEvent => deny);
    const { code, out } = await run("events --deny --count 3 --json", backend);
    expect(code).toBe(0);
    expect(
      out
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as unknown),
    ).toEqual([deny, deny, deny]);
  });

  it("ends by itself after --for", async () => {
    const { context, backend, running } = start("events --for 5s");
    await until(() => backend.readers.size === 1 && context.fakeLoop.timers.length === 1);
    expect(context.fakeLoop.timers[0]?.ms).toBe(5000);
    context.fakeLoop.timers[0]?.fire();
    expect(await running).toBe(0);
  });

  it("ends with 0 when the controller said that it ends, and with an error when it did not", async () => {
    for (const [last, code] of [
      [{ type: "exit", time }, 0],
      [deny, 4],
    ] as const) {
      const { context, backend, running } = start("events");
      await until(() => backend.readers.size === 1);
      backend.emit(last);
      backend.end();
      expect(await running).toBe(code);
      expect(context.printed.out).toContain(last.type);
    }
  });

  it("counts what a flood does not let it show", async () => {
    const { context, backend, running } = start("events --json");
    await until(() => backend.readers.size === 1);
    for (let i = 0; i < 50_000; i++) backend.emit(deny);
    await until(() => context.printed.out.includes('"lost"'));
    context.abort.abort();
    await running;
    const lines = context.printed.out
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as XdpctlEvent);
    const lost = lines.flatMap((event) => (event.type === "lost" ? [event.count] : []));
    expect(lines.length - lost.length + lost.reduce((a, b) => a + b, 0)).toBe(50_000);
  });
});

it("version says what it runs on", async () => {
  const { out } = await run("version --json", new FakeBackend());
  const manifest = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };
  expect(JSON.parse(out)).toMatchObject({ version: manifest.version, node: process.versions.node });
  expect((await run("--version", new FakeBackend())).out).toContain(`xdpctl ${manifest.version}`);
});
