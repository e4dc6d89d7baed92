// SPDX-License-Identifier: MIT
import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { classify, isUnfinished } from "../../src/cli/repl/classify.js";
import { complete } from "../../src/cli/repl/complete.js";
import { History, historyPath } from "../../src/cli/repl/history.js";
import { promptText } from "../../src/cli/repl/interactive.js";
import { LINE_WORDS, type Screen, Session, type SessionOptions } from "../../src/cli/repl/session.js";
import { tokenize } from "../../src/cli/repl/tokenize.js";
import { Via } from "../../src/cli/repl/via.js";
import { XdpctlError } from "../../src/errors/index.js";
import type { PolicyEvent } from "../../src/events/index.js";
import type { Loop } from "../../src/loop/index.js";
import { EchoClient } from "../../src/netlink/index.js";
import { FakeBackend, FakeLoop, interfaceStatus } from "../fixtures/backend.js";
import { FakeEchoModule } from "../fixtures/genl.js";

const folder = mkdtempSync(join(tmpdir(), "xdpctl-repl-"));
afterAll(() => rmSync(folder, { recursive: true }));

describe("tokenize", () => {
  const words = (line: string): string[] => tokenize(line).tokens.map((token) => token.text);

  it.each<[string, string[]]>([
    ["load  drop\teth1 ", ["load", "drop", "eth1"]],
    [`a 'b c' "d e"f`, ["a", "b c", "d ef"]],
    [`a '' ""`, ["a", "", ""]],
    [String.raw`a\ b "c\"d\\" 'e\'`, ["a b", 'c"d\\', "e\\"]],
    ["deny 1.2.3.4 # too loud", ["deny", "1.2.3.4"]],
    ["a#b", ["a#b"]],
    [`get m {"a":1}`, ["get", "m", "{a:1}"]],
    [`get m '{"a":1}'`, ["get", "m", '{"a":1}']],
    ["", []],
  ])("splits %s", (line, expected) => expect(words(line)).toEqual(expected));

  it("tells where words are, and which quote is open", () => {
    expect(tokenize("ab 'c d'").tokens[1]).toEqual({ text: "c d", start: 3, end: 8 });
    expect(tokenize("ab 'c d").open).toBe("'");
    expect(tokenize("ab \\").tokens[1]).toMatchObject({ text: "\\" });
  });
});

describe("classify", () => {
  const kind = (line: string): unknown => classify(line, LINE_WORDS);
  const lua = (code: string, expression = false) => ({ kind: "lua", code, expression });

  it.each(["load drop eth1", "status", "  map dump flows", "help", "exit", "stop 1", "events --deny"])(
    "takes `%s` as a command",
    (line) => expect(kind(line)).toMatchObject({ kind: "command", name: line.trim().split(" ")[0] }),
  );

  it.each(["", "   ", "# comment", "#!/usr/bin/env xdpctl"])("skips %j", (line) =>
    expect(kind(line)).toEqual({ kind: "empty" }),
  );

  it.each([
    "x = 1",
    "print(1)",
    'print "x"',
    "local load = 1",
    "for i = 1, 3 do print(i) end",
    "status = 2",
    "load('x')",
    "map.x = 1",
    "a, b = 1, 2",
    "every(1, function() print(stats('eth1').drop) end)",
    "lod(1)",
    "lod.x()",
    "lod:x()",
    "lod = 5",
    "if x then y() end",
    "return 1",
    "frobnicate now",
    "-- comment",
    "(function() end)()",
    "mapp [1] = 2",
  ])("takes `%s` as Lua", (line) => expect(kind(line)).toEqual(lua(line)));

  it("takes what starts with = as an expression", () => {
    expect(kind("= maps.flows:count()")).toEqual(lua("maps.flows:count()", true));
    expect(kind("=1+1")).toEqual(lua("1+1", true));
  });

  it.each([
    ["lod drop eth1", "lod", "load"],
    ["statsu", "statsu", "status"],
    ["unlaod eth1", "unlaod", "unload"],
    ["evnets --deny", "evnets", "events"],
    ["hlep", "hlep", "help"],
  ])("takes `%s` as a typo", (line, word, meant) => expect(kind(line)).toEqual({ kind: "typo", word, meant }));

  it("knows that a chunk of Lua goes on", () => {
    expect(isUnfinished(`[string "repl"]:1: 'end' expected near <eof>`)).toBe(true);
    expect(isUnfinished("repl:1: unexpected symbol near '<eof>'")).toBe(true);
    expect(isUnfinished("repl:1: '=' expected near 'x'")).toBe(false);
  });
});

describe("the history", () => {
  it("lives where state lives", () => {
    expect(historyPath({ XDG_STATE_HOME: "/state" })).toBe("/state/xdpctl/history");
    expect(historyPath({ XDG_STATE_HOME: "relative" })).toMatch(/^\/.*\/\.local\/state\/xdpctl\/history$/);
  });

  it("is read newest first, is private, and stays bounded", () => {
    const path = join(folder, "deep", "history");
    const history = new History(path);
    expect(history.read()).toEqual([]);
    for (const line of ["one", "two", "", " secret"]) history.add(line);
    expect(new History(path).read()).toEqual(["two", "one"]);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    appendFileSync(path, Array.from({ length: 3000 }, (_, i) => `line ${i}\n`).join(""));
    expect(history.read()).toHaveLength(1000);
    expect(readFileSync(path, "utf8").split("\n")).toHaveLength(1001);
    expect(history.read()[0]).toBe("line 2999");
  });

  it("disturbs nobody where it can't be written", () => {
    const history = new History("/dev/null/history");
    history.add("x");
    expect(history.read()).toEqual([]);
  });
});

it("the prompt names the machine and its lab", () => {
  expect(promptText({})).toBe("xdpctl> ");
  expect(promptText({ XDPCTL_NODE: "xdp", XDPCTL_LAB: "lab" })).toBe("xdp@lab> ");
  expect(promptText({ XDPCTL_NODE: "xdp" })).toBe("xdp> ");
});

describe("a session", () => {
  function session(
    backend: FakeBackend,
    { json, interactive, ...more }: Partial<Pick<SessionOptions, "json" | "interactive" | "via" | "tick">> = {},
  ) {
    const printed = { out: "", err: "", live: "" };
    const screen: Screen = {
      interactive: false,
      columns: () => undefined,
      out: (text) => {
        printed.out += text;
      },
      err: (text) => {
        printed.err += text;
      },
      settled: () => Promise.resolve(),
      liveTarget: () => ({
        screen: false,
        rows: undefined,
        columns: undefined,
        queued: 0,
        write: (text) => {
          printed.live += text;
        },
        frame: () => {},
        drained: () => Promise.resolve(),
        close: () => {},
      }),
    };
    const made = new Session({
      backend,
      loop: new FakeLoop() as unknown as Loop,
      display: screen,
      interactive: interactive ?? true,
      json: json ?? false,
      ...more,
    });
    return { session: made, printed };
  }

  const luaAnswer = (values: string[] = [], output: string[] = []) =>
    new FakeBackend({ lua: () => ({ values, output }) });

  it("runs commands and prints their errors, without an end", async () => {
    const backend = new FakeBackend({
      "map.list": () => ({ maps: [] }),
      load: () => {
        throw new XdpctlError("XDPCTL_E_NO_INTERFACE", "there is no interface eth9");
      },
    });
    const { session: repl, printed } = session(backend);
    expect(await repl.run("map ls")).toBe(0);
    expect(printed.out).toMatch(/^ID {2}NAME/);
    expect(await repl.run("load drop eth9")).toBe(5);
    expect(printed.err).toMatch(/^error: there is no interface eth9 {2}XDPCTL_E_NO_INTERFACE\n/);
    expect(await repl.run("map lss")).toBe(2);
    expect(await repl.run("load 'drop")).toBe(2);
    expect(await repl.run("repl")).toBe(2);
    expect(await repl.run("run guard eth1")).toBe(2);
    expect(await repl.run("")).toBe(0);
    expect(await repl.run("exit")).toBe("exit");
    expect(await repl.run("quit")).toBe("exit");
  });

  it("says that a typo is one, and asks nobody", async () => {
    const backend = new FakeBackend();
    const { session: repl, printed } = session(backend);
    expect(await repl.run("lod drop eth1")).toBe(2);
    expect(printed.err).toBe("unknown command `lod`: did you mean `load`? (Lua expressions start with `=`)\n");
    expect(backend.asked).toEqual([]);
    const script = session(backend, { interactive: false });
    expect(await script.session.run("lod drop eth1")).toBe(2);
    expect(script.printed.err).toMatch(/^error: unknown command `lod`: .* XDPCTL_E_USAGE\n$/);
  });

  it("gives Lua to the controller and prints what it prints", async () => {
    const backend = luaAnswer(["1", "nil"], ["hello"]);
    const { session: repl, printed } = session(backend);
    expect(await repl.run("=1, nil")).toBe(0);
    expect(await repl.run("x = 1")).toBe(0);
    expect(await repl.run("stop 7")).toBe(0);
    expect(printed.out).toBe("hello\n1\tnil\n".repeat(3));
    expect(backend.asked.map(({ params }) => params)).toEqual([
      { code: "1, nil", expression: true },
      { code: "x = 1", expression: false },
      { code: "stop(7)", expression: false },
    ]);
  });

  it("prints one object a line with --json", async () => {
    const { session: repl, printed } = session(luaAnswer(["1"]), { json: true });
    await repl.run("=1");
    await repl.run("lod x");
    expect(JSON.parse(printed.out)).toEqual({ output: [], values: ["1"] });
    expect(JSON.parse(printed.err)).toMatchObject({ error: { code: "XDPCTL_E_USAGE" } });
  });

  it("joins the lines of a chunk of Lua", async () => {
    const backend = new FakeBackend({
      lua: ({ code }) => {
        if (!code.endsWith("end")) throw new XdpctlError("XDPCTL_E_LUA_SYNTAX", "'end' expected near <eof>");
        return { output: [], values: [] };
      },
    });
    const { session: repl, printed } = session(backend);
    expect(await repl.run("for i = 1, 2 do")).toBe("more");
    expect(repl.unfinished).toBe(true);
    expect(await repl.run("status")).toBe("more");
    expect(await repl.run("end")).toBe(0);
    expect(repl.unfinished).toBe(false);
    expect(backend.asked.at(-1)?.params).toEqual({ code: "for i = 1, 2 do\nstatus\nend", expression: false });
    expect(printed.err).toBe("");
    await repl.run("while true do");
    repl.reset();
    expect(repl.unfinished).toBe(false);
  });

  it("shows a syntax error that no further line can mend", async () => {
    const backend = new FakeBackend({
      lua: () => {
        throw new XdpctlError("XDPCTL_E_LUA_SYNTAX", "repl:1: unexpected symbol near 'x'");
      },
    });
    const { session: repl, printed } = session(backend);
    expect(await repl.run("x x")).toBe(7);
    expect(printed.err).toContain("unexpected symbol");
  });

  it("sends Lua through a kernel module, and nothing else (with a stand-in for the module)", async () => {
    const backend = new FakeBackend({
      lua: ({ code }) => {
        if (code.includes("= =")) throw new XdpctlError("XDPCTL_E_LUA_SYNTAX", "(repl):1: unexpected symbol near '='");
        return { output: [], values: ["ran"] };
      },
      "map.list": () => ({ maps: [] }),
    });
    const kernel = new FakeEchoModule();
    const via = new Via(async (name) => new EchoClient(name, kernel));
    const { session: repl, printed } = session(backend, { via });
    expect(await repl.run("via ECHO")).toBe(0);
    expect(printed.out).toBe("Lua goes through ECHO before it runs\n");
    for (const line of ["x = 1", "=x", "", "  ", "# a comment", "map ls", "lod drop eth1"]) await repl.run(line);
    expect(kernel.asked).toEqual(["x = 1", "=x", "", ""]);
    const codes = () => backend.asked.filter(({ method }) => method === "lua").map(({ params }) => params);
    expect(codes()).toEqual([
      { code: "x = 1", expression: false },
      { code: "x", expression: true },
    ]);
    // An error of what came back ends neither the prompt nor a script.
    printed.err = "";
    expect(await repl.run("x = = 1")).toBe(0);
    expect(printed.err).toMatch(/^failed to execute Lua call\.\nerror: \(repl\):1: unexpected symbol near '='/);
    // What the kernel says is Lua, whatever it looks like.
    kernel.answer = () => "unload eth1";
    expect(await repl.run("y = 1")).toBe(0);
    expect(codes().at(-1)).toEqual({ code: "unload eth1", expression: false });
    kernel.loaded = false;
    printed.err = "";
    expect(await repl.run("y = 1")).toBe(5);
    expect(printed.err).toContain("XDPCTL_E_NO_FAMILY");
    expect(await repl.run("via OTHER")).toBe(5);
    expect(await repl.run("via a b")).toBe(2);
    expect(await repl.run("via off")).toBe(0);
    expect(kernel.closed).toBe(true);
    expect(await repl.run("y = 2")).toBe(0);
    expect(codes().at(-1)).toEqual({ code: "y = 2", expression: false });
    expect(await repl.run("exit")).toBe("exit");
  });

  it("joins lines that came through the kernel", async () => {
    const backend = new FakeBackend({
      lua: ({ code }) => {
        if (!code.endsWith("end")) throw new XdpctlError("XDPCTL_E_LUA_SYNTAX", "'end' expected near <eof>");
        return { output: [], values: [] };
      },
    });
    const kernel = new FakeEchoModule();
    const via = new Via(async (name) => new EchoClient(name, kernel));
    await via.start("ECHO");
    const { session: repl, printed } = session(backend, { via });
    expect(await repl.run("while true do")).toBe("more");
    expect(await repl.run("end")).toBe(0);
    expect(backend.asked.at(-1)?.params).toEqual({ code: "while true do\nend", expression: false });
    expect(printed.err).toBe("");
  });

  it("has a tick that can be turned off", async () => {
    const tick = { on: true };
    const { session: repl, printed } = session(new FakeBackend(), { tick });
    expect(await repl.run("tick off")).toBe(0);
    expect(tick.on).toBe(false);
    expect(await repl.run("tick on")).toBe(0);
    expect(await repl.run("tick")).toBe(0);
    expect(await repl.run("tick maybe")).toBe(2);
    expect(printed.out).toBe("the tick is off\nthe tick is on\nthe tick is on\n");
  });

  it("ends a running stream at Ctrl-C, and not itself", async () => {
    const backend = luaAnswer();
    const { session: repl } = session(backend);
    const running = repl.run("events");
    while (backend.readers.size === 0) await new Promise((done) => setImmediate(done));
    expect(repl.running).toBe(true);
    repl.interrupt();
    expect(await running).toBe(130);
    expect(backend.readers.size).toBe(0);
    expect(repl.running).toBe(false);
    expect(await repl.run("=1")).toBe(0);
  });

  it("interrupts Lua that never ends, and prints nothing of it later", async () => {
    let finish: (value: unknown) => void = () => {};
    const backend = new FakeBackend({
      lua: () =>
        new Promise((done) => {
          finish = done;
        }),
    });
    const { session: repl, printed } = session(backend);
    const running = repl.run("while true do end");
    repl.interrupt();
    expect(backend.interrupted).toBe(1);
    expect(await running).toBe(130);
    finish({ output: ["late"], values: [] });
    await new Promise((done) => setImmediate(done));
    expect(printed).toEqual({ out: "", err: "", live: "" });
  });

  it("needs an end for a stream in a script", async () => {
    const { session: repl, printed } = session(new FakeBackend(), { interactive: false });
    expect(await repl.run("events")).toBe(2);
    expect(printed.err).toContain("write --count N or --for DURATION");
    expect(await repl.run("status --watch")).toBe(2);
  });

  it("shows what policies print, but not twice while events are shown", async () => {
    const log = (policy: string, text: string): PolicyEvent => {
      return { type: "policy", time: "2026-01-01T00:00:00.000Z", policy, action: "log", text };
    };
    const backend = new FakeBackend();
    const { session: repl, printed } = session(backend);
    await repl.listen();
    backend.emit(log("portscan", "blocked"));
    backend.emit(log("repl", "42"));
    backend.emit({ ...log("portscan", "loaded"), action: "load" });
    while (printed.live.split("\n").length < 3) await new Promise((done) => setImmediate(done));
    expect(printed.live).toMatch(/^\S+ {2}portscan {2}policy {2}log {2}blocked\n42\n$/);
    printed.live = "";
    const running = repl.run("events");
    while (backend.readers.size < 2) await new Promise((done) => setImmediate(done));
    backend.emit(log("portscan", "again"));
    while (printed.live === "") await new Promise((done) => setImmediate(done));
    repl.interrupt();
    await running;
    expect(printed.live.match(/again/g)).toHaveLength(1);
    await repl.close();
    expect(backend.readers.size).toBe(0);
  });

  it("lists what it knows", async () => {
    const { session: repl, printed } = session(new FakeBackend());
    await repl.run("help");
    for (const word of ["load", "lab", "=EXPRESSION", "Ctrl-D"]) expect(printed.out).toContain(word);
    printed.out = "";
    expect(await repl.run("help load")).toBe(0);
    expect(printed.out).toContain("Usage: xdpctl load");
  });
});

describe("completion", () => {
  const program = new Command();
  program.command("load <program> <interface...>").option("-m, --mode <mode>", "").option("--force", "");
  program.command("status").option("--watch", "");
  const map = program.command("map");
  map.command("dump <map>");
  map.command("ls");
  const policy = program.command("policy");
  policy.command("load <file>");
  policy.command("unload <name>");
  const backend = new FakeBackend({
    status: () => ({ interfaces: ["eth0", "eth1", "br-lan"].map((name) => interfaceStatus({ interface: name })) }),
    "map.list": () => ({ maps: [{ name: "flows" }, { name: "deny_v4" }] }),
    "policy.list": () => ({ policies: [{ name: "portscan" }] }),
  });
  const at = (line: string) => complete(line, { program, backend });

  beforeAll(() => {
    writeFileSync(join(folder, "scan.lua"), "");
    writeFileSync(join(folder, ".hidden"), "");
  });

  it.each<[string, string[], string]>([
    ["sta", ["status "], "sta"],
    ["unl", ["unload "], "unl"],
    ["load g", ["guard "], "g"],
    ["load drop ", ["br-lan ", "eth0 ", "eth1 "], ""],
    ["load drop eth1 e", ["eth0 ", "eth1 "], "e"],
    ["load --f", ["--force "], "--f"],
    ["load drop -m n", ["native "], "n"],
    ["map ", ["dump ", "ls "], ""],
    ["map dump f", ["flows "], "f"],
    ["policy unload ", ["portscan "], ""],
    ["help sta", ["status "], "sta"],
    ["lab ex", ["exec "], "ex"],
    ["nonsense x", [], "x"],
  ])("completes `%s`", async (line, hits, typed) => expect(await at(line)).toEqual([hits, typed]));

  it("completes files, without those that hide", async () => {
    expect(await at(`policy load ${folder}/`)).toEqual([
      expect.arrayContaining([`${folder}/scan.lua `]) as string[],
      `${folder}/`,
    ]);
    expect((await at(`policy load ${folder}/`))[0]).not.toContain(`${folder}/.hidden `);
    expect((await at("policy load /nowhere/at/all/"))[0]).toEqual([]);
  });

  it("offers nothing where the controller fails to answer", async () => {
    expect(await complete("load drop e", { program, backend: new FakeBackend() })).toEqual([[], "e"]);
  });
});
