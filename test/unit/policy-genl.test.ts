// SPDX-License-Identifier: MIT
import { afterEach, describe, expect, it } from "vitest";
import { XdpctlError } from "../../src/errors/index.js";
import { join } from "../../src/netlink/message.js";
import { ECHO } from "../../src/netlink/index.js";
import type { GenericAccess, GenericGroupName, GenericNews, GenericRequest, Policy } from "../../src/policy/index.js";
import { checkPolicy } from "../../src/policy/index.js";
import { load, type Loaded, until } from "../fixtures/policy.js";

/** Stands in for the controller: keeps what is asked, answers what the test says. */
class FakeAccess implements GenericAccess {
  groups: readonly GenericGroupName[] = [];
  readonly asked: GenericRequest[] = [];
  say: (news: GenericNews) => void = () => {};
  answer: GenericAccess["request"] = () => ({ replies: [] });

  listen(groups: readonly GenericGroupName[], news: (news: GenericNews) => void): void {
    this.groups = groups;
    this.say = news;
  }

  request(request: GenericRequest): ReturnType<GenericAccess["request"]> {
    this.asked.push(request);
    return this.answer(request);
  }

  event(body: Uint8Array): void {
    const payload = new Uint8Array(body);
    this.say({ type: "message", family: "ECHO", group: "events", time: 1.5, command: 2, version: 1, payload });
  }
}

const policies: Policy[] = [];
async function start(source: string, access = new FakeAccess()): Promise<Loaded & { access: FakeAccess }> {
  const loaded = await load(source, { generic: access });
  policies.push(loaded.policy);
  return { ...loaded, access };
}
afterEach(async () => {
  for (const policy of policies.splice(0)) await policy.unload();
});

const lines = (loaded: Loaded, n: number): Promise<void> => until(`${n} lines`, () => loaded.log.length >= n);
const hex = (text: string): Buffer => Buffer.from(text.replaceAll(" ", ""), "hex");

describe('on("genl")', () => {
  it("hands messages to the hook, with attributes by number, nested ones, and numbers of every width", async () => {
    const run = await start(`
      on("genl", "ECHO", "events", function(e)
        local a = e.attributes
        log("%s/%s %d v%d %.1f %d", e.family, e.group, e.command, e.version, e.time, #a)
        log("%s %d %d %s %s", a:string(1), a:u32(2), a:u64(3), a:u8(9), a:has(9))
        for i, one in ipairs(a) do log("%d: %d bytes", one.number, #one.data) end
      end)`);
    expect(run.policy.status().hooks).toEqual(["genl:ECHO/events"]);
    expect(run.access.groups).toEqual([{ family: "ECHO", group: "events" }]);
    run.access.event(join(ECHO.encode({ message: "hi", seq: 0xfffffffe, time: (1n << 60n) + 1n })));
    await lines(run, 5);
    expect(run.log).toEqual([
      "ECHO/events 2 v1 1.5 3",
      "hi 4294967294 1152921504606846977 nil false",
      "1: 3 bytes",
      "2: 4 bytes",
      "3: 8 bytes",
    ]);
  });

  it("reads signed, network-order and unsized numbers, nested attributes and bytes", async () => {
    const run = await start(`
      on("genl", "ECHO", "events", function(e)
        local a = e.attributes
        log("%d %d %d %d", a:s8(1), a:u16be(2), a:uint(3), a:sint(1))
        local inner = a:nested(4)
        log("%s %d", inner:string(1), genl.u16(inner:bytes(2), 2))
        log("%d %d", #a:all(5), genl.attributes(a:bytes(4)):u32be(3))
        log("%s", select(2, pcall(a.u32, a, 1)))
        log("%s", select(2, pcall(genl.u64, "short")))
      end)`);
    run.access.event(
      hex(
        "05000100 ff000000  06000200 00500000  06000300 39050000" +
          "1c000480 07000100 61620000 07000200 01020300 08000300 00000102" +
          "04000500 04000500 0400",
      ),
    );
    await lines(run, 5);
    expect(run.log.slice(0, 3)).toEqual(["-1 80 1337 -1", "ab 770", "2 258"]);
    expect(run.log[3]).toContain("attribute 1 has 1 bytes, not the 4 of u32");
    expect(run.log[4]).toContain("5 bytes hold no u64 at 1");
  });

  it("survives bytes that are no attributes", async () => {
    const run = await start(`on("genl", "ECHO", "events", function(e) log("%d", #e.attributes) end)`);
    const bad = ["", "00", "0000", "03000100", "ffff0100", "0500010041000000ffff", "04000100 0100"];
    for (const text of bad) run.access.event(hex(text));
    await lines(run, bad.length);
    expect(run.log).toEqual(["0", "0", "0", "0", "0", "1", "1"]);
    expect(run.errors).toEqual([]);
  });

  it("tells of a family that goes and comes, and of what was lost", async () => {
    const run = await start(`
      on("genl", "ECHO", "events", function() end, function(state, count) log("%s %d", state, count) end)`);
    for (const state of ["gone", "there", "lost"] as const)
      run.access.say({ type: "state", family: "ECHO", group: "events", state, count: state === "lost" ? 3 : 0 });
    await lines(run, 3);
    expect(run.log).toEqual(["gone 0", "there 0", "lost 3"]);
  });

  it("drops what a slow hook leaves no room for, counts it, and says so when there is room again", async () => {
    const run = await start(`
      seen = 0
      on("genl", "ECHO", "events", function(e)
        seen = seen + 1
        if seen == 1 then local t = now() while now() - t < 0.08 do end end
        state.seen = seen
      end, function(what, count) log("%s %d after %d", what, count, seen) end)`);
    for (let i = 0; i < 900; i++) run.access.event(new Uint8Array(0));
    const { lost } = run.policy.status();
    expect(lost).toBeGreaterThan(300);
    await until("the word", () => run.log.length > 0);
    run.access.event(new Uint8Array(0));
    await until("the next", () => run.policy.state().seen === 901 - lost);
    expect(run.log).toEqual([`lost ${lost} after ${900 - lost}`]);
  });

  it("ends with the script: a reload listens to its own groups, an unload to none", async () => {
    const run = await start(`on("genl", "ECHO", "events", print) on("genl", "nlctrl", "notify", print)`);
    expect(run.access.groups).toHaveLength(2);
    await run.policy.reload(`on("genl", "ethtool", "monitor", print)`);
    expect(run.access.groups).toEqual([{ family: "ethtool", group: "monitor" }]);
    await expect(run.policy.reload(`on("genl", "nlctrl", "notify", print) error("x")`)).rejects.toThrow("x");
    expect(run.access.groups).toEqual([{ family: "ethtool", group: "monitor" }]);
    await run.policy.unload();
    expect(run.access.groups).toEqual([]);
  });

  it.each([
    [`on("genl")`, "bad argument #2"],
    [`on("genl", "ECHO", "events")`, "bad argument #4"],
    [`on("genl", "", "events", print)`, "is no name of a family"],
    [`on("genl", "a-name-of-sixteen", "events", print)`, "is no name of a family"],
    [`for i = 1, 17 do on("genl", "F" .. i, "events", print) end`, "at most 16 groups"],
    [`genl.call("F", 256, {})`, "256 is no number of a command"],
    [`genl.call("F", 1, { 1 })`, "is no { NUMBER, VALUE [, TYPE] }"],
    [`genl.call("F", 1, { { 1 } })`, "attribute 1 needs a value"],
    [`genl.call("F", 1, { { 1, 2 ^ 32 } })`, "attribute 1: the value is no u32"],
    [`genl.call("F", 1, { { 1, 1, "u33" } })`, "is no type of attribute (did you mean u32?)"],
    [`genl.call("F", 1, { { 1, "a\\0b" } })`, "a NUL byte would end the string"],
    [`genl.call("F", 1, { { 1, ("x"):rep(40000) } })`, "at most 32768 bytes"],
    [`local t = {} t[1] = { 1, t } genl.call("F", 1, t)`, "nest too deeply"],
    [`for i = 1, 65 do genl.call("F", 1) end`, "64 requests wait"],
    [`genl.families()`, "bad argument #1"],
  ])("refuses `%s`", async (source, text) => {
    await expect(start(source)).rejects.toThrow(text);
  });
});

describe("genl.call", () => {
  it("sends bytes as netlink has them, and gives the answer, or the kernel's own words", async () => {
    const access = new FakeAccess();
    access.answer = (request) => {
      if (request.op === "families") return { families: [{ name: "ECHO", id: 40, version: 1, groups: ["events"] }] };
      if (request.command === 9) {
        throw new XdpctlError("XDPCTL_E_NETLINK", "ECHO command 9: not here: invalid argument (EINVAL)", {
          errno: 22,
          kernel: "not here",
        });
      }
      return { replies: [{ command: 1, version: 1, payload: request.body }] };
    };
    const run = await start(
      `
      genl.call("ECHO", 1, { { 1, "hello" }, { 2, 7, "u16" }, { 3, { { 1, true } } }, { 4, 80, "u16be" } }, function(answers, problem)
        log("%d %s %s %d %s", #answers, problem, answers[1].attributes:string(1), answers[1].attributes:u16(2), answers[1].attributes:nested(3):has(1))
      end)
      genl.dump("ECHO", 9, nil, function(answers, problem)
        log("%s %s %d %s %s", answers, problem.code, problem.errno, problem.kernel, problem)
      end)
      genl.families(function(list) log("%s %d %s", list[1].name, list[1].id, list[1].groups[1]) end)`,
      access,
    );
    await lines(run, 3);
    expect(run.log).toEqual([
      "1 nil hello 7 true",
      "nil XDPCTL_E_NETLINK 22 not here ECHO command 9: not here: invalid argument (EINVAL)",
      "ECHO 40 events",
    ]);
    const [call] = access.asked as unknown as [{ body: Uint8Array }];
    expect(Buffer.from(call.body).toString("hex")).toBe(
      hex("0a000100 68656c6c6f000000  06000200 07000000  08000380 04000100  06000400 00500000").toString("hex"),
    );
  });

  it("logs a problem that nobody waits for, and answers only the script that asked", async () => {
    const access = new FakeAccess();
    access.answer = () => {
      throw new XdpctlError("XDPCTL_E_NO_FAMILY", "generic netlink has no family ECHO");
    };
    const run = await start(`genl.call("ECHO", 1)`, access);
    await lines(run, 1);
    expect(run.log).toEqual(["generic netlink has no family ECHO"]);
    await expect(run.policy.reload(`genl.call("ECHO", 1, nil, print) error("no")`)).rejects.toThrow("no");
    await run.policy.reload(`genl.call("ECHO", 1, nil, function(a, p) log("second %s", p.code) end)`);
    await lines(run, 2);
    expect(run.log[1]).toBe("second XDPCTL_E_NO_FAMILY");
  });

  it("has no way around the controller", async () => {
    const run = await load(`genl.call("ECHO", 1, nil, function(a, p) log("%s", p) end) on("genl", "ECHO", "x", print)`);
    policies.push(run.policy);
    await lines(run, 2);
    expect(run.log.sort()).toEqual([
      "generic netlink can't be heard from here",
      "generic netlink can't be reached from here",
    ]);
  });
});

it("`policy check` lists the hooks, and asks nobody", async () => {
  const source = `on("genl", "ECHO", "events", print) genl.call("ECHO", 1, { { 1, "x" } }, print)`;
  expect(await checkPolicy("x.lua", source)).toEqual({
    hooks: ["genl:ECHO/events"],
    uses: ["genl", "print"],
    warnings: [],
  });
});
