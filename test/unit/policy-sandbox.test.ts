// SPDX-License-Identifier: MIT
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Interactive } from "../../src/policy/index.js";

let lua: Interactive;
beforeAll(() => {
  lua = new Interactive();
});
afterAll(async () => {
  await lua.close();
});

const value = async (expression: string): Promise<string> => (await lua.run(expression, true)).values.join(" ");
const error = async (code: string): Promise<string> =>
  lua.run(code, false).then(
    ({ output }) => `no error: ${output.join()}`,
    (thrown: Error) => thrown.message,
  );

describe("what is not there", () => {
  it.each([
    ...["os", "io", "debug", "package", "require", "dofile", "loadfile", "loadstring", "fengari", "js", "module"],
    ...["string.dump", "string.pack", "string.unpack", "string.packsize"],
  ])("%s", async (name) => {
    expect(await value(name)).toBe("nil");
  });

  it("has no way to compile code", async () => {
    expect(await error(`load("return 1")`)).toMatch(/bad argument #2 to 'load'/);
    expect(await error(`load(function() return "x" end)`)).toMatch(/bad argument #1 to 'load'/);
  });

  it("hides the metatables that everybody shares", async () => {
    expect(await value(`getmetatable("")`)).toBe("false");
    expect(await error(`setmetatable("", {})`)).toMatch(/table expected/);
    expect(await value("getmetatable(maps)")).toBe("false");
    expect(await error("setmetatable(maps, {})")).toMatch(/protected metatable/);
    expect(await error("maps.x = 1")).toMatch(/maps come from/);
  });

  it("only the listed globals", async () => {
    const { output } = await lua.run(
      `local names = {} for k in pairs(_G) do names[#names + 1] = k end table.sort(names) print(table.concat(names, " "))`,
      false,
    );
    expect(output).toEqual([
      "_G _VERSION allow args assert block collectgarbage coroutine data error every fib_lookup genl getmetatable ipairs limit load log " +
        "maps math next now on pairs pcall print rawequal rawget rawlen rawset select setmetatable state stats stop " +
        "string table tonumber tostring type unallow unblock unlimit unload unpack utf8 xpcall",
    ]);
  });
});

describe("numbers", () => {
  it.each([
    ["2147483647 + 1", "2147483648"],
    ["-2147483648 - 1", "-2147483649"],
    ["65536 * 65536", "4294967296"],
    ["-(-2147483648)", "2147483648"],
    ["0xffffffff", "4294967295"],
    ["0x7fffffff", "2147483647"],
    ['tonumber("ffffffff", 16)', "4294967295"],
    ['tonumber("0x80000000")', "2147483648"],
    ['tonumber("9007199254740993")', "9007199254740992"],
    ["-2147483648 // -1", "2147483648"],
    ["math.abs(-2147483648)", "2147483648"],
    ["10 / 2", "5"],
    ["1e15", "1000000000000000"],
    ["2^60", "1.1529215046068e+18"],
    ["1/0 .. ' ' .. -1/0", "inf -inf"],
    ["7 // 2 .. ' ' .. 7 % -3 .. ' ' .. 7.5 // 2", "3 -2 3"],
    [
      'string.format("%d %5.1f|%-4s|%04d %x %X %g %i", 3000000000, 1.25, "ab", 42, 4294967295, 255, 0.1, -5)',
      "3000000000   1.3|ab  |0042 ffffffff FF 0.1 -5",
    ],
    ['string.format("%q %% %c %s %s", "a\\nb", 65, nil, true)', '"a\\\nb" % A nil true'],
  ])("%s", async (expression, wanted) => {
    expect(await value(expression)).toBe(wanted);
  });

  it("does not wrap in variables and loops either", async () => {
    const { output } = await lua.run(
      `local a, b = 2147483647, 1
       print(a + b, a * 2, a - -1)
       local n = 0 for i = 2147483646, 2147483647 do n = n + 1 if n > 5 then break end end print(n)
       local t = {} t[a + b] = "x" print(t[2147483648])
       local sum = 0 for _ = 1, 10 do sum = sum + 2000000000 end print(sum)`,
      false,
    );
    expect(output).toEqual(["2147483648\t4294967294\t2147483648", "2", "x", "20000000000"]);
  });

  it("refuses to shift bits out", async () => {
    expect(await error("local one = 1; print(one << 31)")).toMatch(/does not fit into 32 bits/);
    expect(await error("print(3000000000 & 1)")).toMatch(/no integer representation/);
  });
});

describe("strings", () => {
  it.each([
    [`("hello world"):find("o w")`, "5 7"],
    [`("hello"):find("l+")`, "3 4"],
    [`("hello"):find("xyz")`, "nil"],
    [`("key = value"):match("^(%w+)%s*=%s*(%w+)$")`, "key value"],
    [`("a.b.c"):gsub("%.", "/")`, "a/b/c 2"],
    [`("abc"):gsub("%w", "%0%0")`, "aabbcc 3"],
    [`("abc"):gsub("", "-")`, "-a-b-c- 4"],
    [`("hello world"):gsub("o", {o = "0"})`, "hell0 w0rld 2"],
    [`("abc"):gsub("b", function(c) return c:upper() end)`, "aBc 1"],
    [`("THE (quick) fox"):find("%((%a+)%)")`, "5 11 quick"],
    [`("f(a(b)c)d"):match("%b()")`, "(a(b)c)"],
    [`("THE (quick) fox"):match("%f[%a]%a+", 5)`, "quick"],
    [`("x=1, y=2"):gsub("(%w+)=(%w+)", "%2=%1")`, "1=x, 2=y 2"],
    [`("  trim  "):match("^%s*(.-)%s*$") .. "|"`, "trim|"],
    [`("abcabc"):match("(abc)%1")`, "abc"],
    [`("a]b"):match("[]]")`, "]"],
    [`("a-b"):match("[a%-]+")`, "a-"],
    [`("abc"):match("()b()")`, "2 3"],
    [`("abc"):rep(3, ",")`, "abc,abc,abc"],
    [`#("x"):rep(1000)`, "1000"],
    [`table.concat({1, 2, "c"}, "-")`, "1-2-c"],
    [`"\\x01#" == "\\x12\\x03"`, "false"],
    [`({["\\x01#"] = 1})["\\x12\\x03"]`, "nil"],
    [`"a" < "b" and "\\n" < "1"`, "true"],
    [`("ÄÖ"):upper():len()`, "4"],
    [`utf8.len("ÄÖ")`, "2"],
  ])("%s", async (expression, wanted) => {
    expect(await value(expression)).toBe(wanted);
  });

  it("iterates with gmatch", async () => {
    const { output } = await lua.run(`for k, v in ("a=1, b=2"):gmatch("(%w+)=(%w+)") do print(k, v) end`, false);
    expect(output).toEqual(["a\t1", "b\t2"]);
  });

  it.each([
    [`("x"):find("[a")`, "malformed pattern"],
    [`("x"):find("%")`, "malformed pattern"],
    [`("x"):find("(")`, "unfinished capture"],
    [`("x"):gsub("x", "%9")`, "invalid capture"],
    [`string.format("%d", 1.5)`, "no integer representation"],
    [`string.format("%d", "x")`, "number expected"],
    [`string.format("%y", 1)`, "invalid option"],
    [`string.format("%d")`, "no value"],
  ])("%s fails", async (code, message) => {
    expect(await error(`local _ = ${code}`)).toContain(message);
  });
});

describe("errors", () => {
  it("are caught by pcall, with their values", async () => {
    expect(await value(`pcall(error, "x", 0)`)).toBe("false x");
    expect(await value(`select(2, pcall(error, {code = 7})).code`)).toBe("7");
    expect(await value(`xpcall(function() error("x", 0) end, function(m) return m .. "!" end)`)).toBe("false x!");
    expect(await value(`coroutine.resume(coroutine.create(function() error("x", 0) end))`)).toBe("false x");
    expect(await value(`coroutine.wrap(function(a) local b = coroutine.yield(a + 1) return b * 2 end)(1)`)).toBe("2");
  });

  it("name their line", async () => {
    expect(await error("local x\nx.y = 1")).toMatch(/^\(repl\):2: attempt to index a nil value \(local 'x'\)/);
    expect(await error("block('nonsense')")).toBe(
      "(repl):1: `nonsense` is not an address block: neither IPv4 (10.0.0.1) nor IPv6 (2001:db8::1)",
    );
    expect(await error("block('10.0.0.1', -1)")).toMatch(/at least 0, not -1/);
    expect(await error("on('flw', print)")).toMatch(/no event "flw" \(did you mean flow\?\)/);
  });

  it("survive a deep recursion", async () => {
    expect(await value("pcall((function() local function f() return 1 + f() end return f end)())")).toMatch(
      /false .*stack overflow/,
    );
    expect(await value("1 + 1")).toBe("2");
  });
});

describe("the REPL's values", () => {
  it("shows tables", async () => {
    expect(await value(`{1, "two", {x = 3}, [10] = false}`)).toBe('{ 1, "two", { x = 3 }, [10] = false }');
  });
});
