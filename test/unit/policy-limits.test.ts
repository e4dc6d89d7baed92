// SPDX-License-Identifier: MIT
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { Interactive, Policy } from "../../src/policy/index.js";
import { load, record, until } from "../fixtures/policy.js";

/** Feeds one event to a hook that never ends by itself; gives what was said about it and how long the stop took. */
async function stopped(
  body: string,
  limits = {},
): Promise<{ code: string; message: string; stopped: boolean; ms: number }> {
  const { policy, errors } = await load(`on("flow", function(src)\n${body}\nend)`, {
    limits: { hookMs: 50, hardMs: 300, ...limits },
  });
  try {
    const start = performance.now();
    policy.push(record(), 0);
    await until("the error", () => errors.length > 0, 10_000);
    const [first] = errors;
    return { ...(first as NonNullable<typeof first>), ms: performance.now() - start };
  } finally {
    await policy.unload();
  }
}

describe("a hook that runs too long", () => {
  it.each([
    ["a loop", "while true do end"],
    ["a loop under pcall", "while true do pcall(function() while true do end end) end"],
    ["pcall of C functions alone", "while true do pcall(pcall, pcall) end"],
    ["xpcall with a handler that loops", "xpcall(function() while true do end end, function() while true do end end)"],
    ["a coroutine", "while true do coroutine.resume(coroutine.create(function() while true do end end)) end"],
    [
      "a wrapped coroutine",
      "local f = coroutine.wrap(function() while true do coroutine.yield() end end) while true do pcall(f) end",
    ],
    [
      "pcall with a yield inside",
      "local co = coroutine.create(function() while true do pcall(coroutine.yield) end end) while true do coroutine.resume(co) end",
    ],
    ["an iterator", "for _ in function() return 1 end do end"],
    [
      "a metamethod",
      "local t = setmetatable({}, {__index = function(t, k) return t[k + 1] end}) while true do pcall(function() return t[1] end) end",
    ],
    [
      "a comparison in sort",
      "local t = {} for i = 1, 200 do t[i] = i % 7 end while true do table.sort(t, function(a, b) return a < b end) end",
    ],
    ["a replacement function", "local s = ('x'):rep(10000) while true do s:gsub('x', function() end) end"],
    ["a pattern", "local s = ('a'):rep(40) s:find(('a?'):rep(40) .. ('a'):rep(40) .. 'b')"],
    ["a nested quantifier", "local s = ('a'):rep(3000) .. 'b' s:find('.-.-.-.-.-.-.-c')"],
    ["%b", "local s = ('('):rep(200000) s:find('%b()x')"],
  ])("%s", async (_, body) => {
    const { code, message, stopped: restarted, ms } = await stopped(body);
    expect(code).toBe("XDPCTL_E_LUA_TIMEOUT");
    expect(message).toMatch(/^test\.lua:\d+: the flow hook ran longer than 50 ms and was stopped$/);
    expect(restarted).toBe(false);
    expect(ms).toBeLessThan(1500);
  });

  it.each([
    ["table.move", "table.move({}, 1, 2147483646, 1)"],
    [
      "sort without a function of Lua",
      "local t = {} for i = 1, 2000 do t[i] = i end for i = 1, 1e9 do table.sort(t, rawequal) end",
    ],
  ])("in C: %s", async (_, body) => {
    const { code, message, ms } = await stopped(body);
    expect(code).toBe("XDPCTL_E_LUA_TIMEOUT");
    expect(message).toMatch(/^test\.lua:2: the flow hook ran longer than \d+ ms and was stopped$/);
    expect(ms).toBeLessThan(3000);
  });

  it("does not stop the next events", async () => {
    const { policy, log } = await load(
      `on("flow", function(src) if src == "10.0.0.66" then while true do end end log(src) end)`,
      { limits: { hookMs: 30 } },
    );
    policy.push(record({ src: "10.0.0.66" }), 0);
    policy.push(record({ src: "10.0.0.3" }), 0);
    await until("the second event", () => log.includes("10.0.0.3"));
    expect(policy.status()).toMatchObject({ state: "running", calls: 2, restarts: 0 });
    await policy.unload();
  });

  it("is not taken for a quick one: it is no part of P50 and P99", async () => {
    const { policy, errors } = await load(
      `on("deny", function() while true do end end) on("flow", function() end) every(0.01, function() end)`,
      { limits: { hookMs: 30 } },
    );
    policy.push(record({ type: 2 }), 0);
    await until("the stop", () => errors.length === 1);
    await until("a timer", () => policy.status().calls > 1);
    expect(policy.status()).toMatchObject({ p50: null, p99: null });
    policy.push(record(), 0);
    await until("the flow", () => policy.status().p50 !== null);
    const { p50, p99 } = policy.status();
    expect(p50).toBeGreaterThan(0);
    expect(p99).toBe(p50);
    await policy.unload();
  });

  it("does not delay the main thread", async () => {
    const { policy } = await load(`on("flow", function() while true do end end)`, { limits: { hookMs: 200 } });
    policy.push(record(), 0);
    let worst = 0;
    for (let i = 0; i < 20; i++) {
      const before = performance.now();
      await sleep(5);
      worst = Math.max(worst, performance.now() - before - 5);
    }
    expect(worst).toBeLessThan(100);
    await policy.unload();
  });

  it("ends a policy that does nothing else", async () => {
    const { policy, errors } = await load(`on("flow", function() while true do end end)`, { limits: { hookMs: 5 } });
    for (let i = 0; i < 12; i++) policy.push(record(), 0);
    await until("the end", () => errors.some((e) => e.stopped));
    expect(policy.status().restarts).toBe(1);
    await policy.unload();
  });
});

describe("a hook that eats memory", () => {
  it.each([
    ["long strings", "local t = {} while true do t[#t + 1] = ('x'):rep(1000000) .. #t end"],
    ["doubling", "local s = 'x' while true do s = s .. s end"],
    ["tables", "local t = {} while true do t = {t, {}, {}, {}} end"],
    ["many short strings", "local t = {} for i = 1, 1e9 do t[i] = 'key' .. i end"],
    ["coroutines", "local t = {} while true do t[#t + 1] = coroutine.create(function() end) end"],
    ["closures", "local t = {} while true do t[#t + 1] = function() return t end end"],
    [
      "strings under pcall",
      "local t = {} while true do pcall(function() t[#t + 1] = ('x'):rep(1000000) .. #t end) end",
    ],
    ["gsub that grows", "local s = ('x'):rep(1000) local t = {} while true do t[#t + 1] = s:gsub('x', s) end"],
  ])("%s", async (_, body) => {
    const before = process.memoryUsage().rss;
    const { code, message } = await stopped(body, { hookMs: 20_000, memoryMiB: 32 });
    // One string that is too long is an ordinary error; the rest ends with the worker.
    if (code === "XDPCTL_E_LUA_RUNTIME") expect(message).toMatch(/a string of \S+ bytes: the limit is/);
    else
      expect({ code, message }).toEqual({
        code: "XDPCTL_E_LUA_MEMORY",
        message: expect.stringMatching(/^test\.lua:\d+: the flow hook held more than 32 MiB and was stopped$/),
      });
    expect(process.memoryUsage().rss - before).toBeLessThan(300e6);
  });

  it.each([
    ["rep", "('x'):rep(1e9)"],
    ["rep with a separator", "(''):rep(1e9, 'xyz')"],
    ["rep beyond everything", "('x'):rep(1e300)"],
    [
      "format",
      "string.format(('%s'):rep(200), table.unpack((function() local t = {} for i = 1, 200 do t[i] = ('x'):rep(100000) end return t end)()))",
    ],
    [
      "concat",
      "table.concat((function() local s, t = ('x'):rep(100000), {} for i = 1, 200 do t[i] = s end return t end)())",
    ],
    ["..", "local s = ('x'):rep(4000000) return s .. s .. s .. s"],
    ["gsub", "(('x'):rep(10000)):gsub('x', ('y'):rep(10000))"],
  ])("refuses %s before it is made", async (_, code) => {
    const sandbox = new Interactive({ limits: { memoryMiB: 32 } });
    const start = performance.now();
    await expect(sandbox.run(code.includes("return") ? `do ${code} end` : `local _ = ${code}`, false)).rejects.toThrow(
      /a string of \S+ bytes: the limit is/,
    );
    expect(performance.now() - start).toBeLessThan(1500);
    expect((await sandbox.run("1", true)).values).toEqual(["1"]);
    await sandbox.close();
  });

  it("gives garbage time", async () => {
    const { policy, errors, log } = await load(
      `on("flow", function() for i = 1, 300 do local s = ("x"):rep(1000000) .. i end log("done") end)`,
      { limits: { memoryMiB: 32, hookMs: 10_000 } },
    );
    policy.push(record(), 0);
    await until("the end", () => log.length + errors.length > 0, 15_000);
    expect(errors).toEqual([]);
    await policy.unload();
  });

  it("starts again with the state of before", async () => {
    const { policy, errors, log } = await load(
      `state.runs = (state.runs or 0) + 1
       log("run %d", state.runs)
       local t = {}
       on("flow", function() for i = 1, 1e9 do t[i] = {i} end end)`,
      { limits: { memoryMiB: 32, hookMs: 20_000 } },
    );
    await until("the state", () => policy.state().runs === 1);
    policy.push(record(), 0);
    await until("the second run", () => log.includes("run 2"), 15_000);
    expect(errors).toMatchObject([{ code: "XDPCTL_E_LUA_MEMORY", stopped: true }]);
    expect(policy.status()).toMatchObject({ state: "running", restarts: 1 });
    await policy.unload();
  });
});

describe("a script that does not load", () => {
  it.each([
    ["syntax", "on('flow', function(\n", "XDPCTL_E_LUA_SYNTAX", /^test\.lua:2: .* near <eof>/],
    ["an error", "\nerror('no')", "XDPCTL_E_LUA_RUNTIME", /^test\.lua:2: no$/],
    ["a loop", "while true do end", "XDPCTL_E_LUA_TIMEOUT", /^test\.lua:1: the script itself ran longer than 50 ms/],
    [
      "a bomb",
      "local s = {} while true do s[#s + 1] = {} end",
      "XDPCTL_E_LUA_MEMORY",
      /^test\.lua:1: the script itself held more than 32 MiB/,
    ],
    ["a binary chunk", "\x1bLua", "XDPCTL_E_LUA_SYNTAX", /binary/],
    ["nesting", "(".repeat(100_000), "XDPCTL_E_LUA_SYNTAX", /./],
    ["too long", `--${"x".repeat(2 << 20)}`, "XDPCTL_E_LUA_SYNTAX", /no policy/],
  ])("%s", async (name, source, code, message) => {
    const loadMs = name === "a bomb" ? 20_000 : 50;
    const promise = Policy.load({
      name: "test",
      file: "test.lua",
      source,
      limits: { loadMs, memoryMiB: 32, hardMs: 300 },
    });
    await expect(promise).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });
});

describe("the REPL", () => {
  it("stops on interrupt, and goes on", async () => {
    const sandbox = new Interactive();
    await sandbox.run("x = 1", false);
    const run = sandbox.run("while true do pcall(function() while true do end end) end", false);
    await sleep(100);
    sandbox.interrupt();
    await expect(run).rejects.toThrow("interrupted");
    expect((await sandbox.run("x", true)).values).toEqual(["1"]);
    await sandbox.close();
  });

  it("stops what is stuck in C", async () => {
    const sandbox = new Interactive({ limits: { hardMs: 200 } });
    await sandbox.run("state.kept = 7", false);
    const run = sandbox.run("table.move({}, 1, 2147483646, 1)", false);
    await sleep(100);
    sandbox.interrupt();
    await expect(run).rejects.toMatchObject({ code: "XDPCTL_E_LUA_TIMEOUT" });
    expect((await sandbox.run("state.kept", true)).values).toEqual(["7"]);
    await sandbox.close();
  });

  it("runs timers between chunks", async () => {
    const lines: string[] = [];
    const sandbox = new Interactive({ onLog: (text) => lines.push(text) });
    const { output } = await sandbox.run(`every(0.02, function() print("tick") end)`, false);
    expect(output).toEqual(["timer 1 (stop with `stop 1`)"]);
    await until("two ticks", () => lines.length >= 2);
    expect((await sandbox.run("stop(1)", true)).values).toEqual(["true"]);
    await sandbox.close();
  });
});
