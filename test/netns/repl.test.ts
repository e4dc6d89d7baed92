// SPDX-License-Identifier: MIT
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { TestPair } from "../fixtures/netns.js";
import { Running, XDPCTL, xdpctl } from "../fixtures/xdpctl.js";

let pair: TestPair;
let folder: string;
const running: Running[] = [];

beforeEach(() => {
  pair = new TestPair();
  folder = mkdtempSync(join(tmpdir(), "xdpctl-repl-"));
});

afterEach(async () => {
  for (const process of running.splice(0)) await process.close();
  xdpctl(pair.left, ["unload", "--all"]);
  pair.close();
  rmSync(folder, { recursive: true });
});

const script = (...lines: string[]) => xdpctl(pair.left, ["repl"], lines.map((line) => `${line}\n`).join(""));
const program = (): string => /^eth0 +(\S+)/m.exec(xdpctl(pair.left, ["status"]).stdout)?.[1] ?? "";

describe("a script on standard input", () => {
  it("prints results and leaves nothing attached", () => {
    const { status, stdout, stderr } = script(
      "# what we do",
      "load drop eth0",
      "",
      "status",
      "map ls",
      "exit",
      "nonsense",
    );
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toMatch(
      /^eth0 {2}drop {2}native {2}id \d+\nINTERFACE [\s\S]*^eth0 +drop +native [\s\S]*^ +ID {2}NAME/m,
    );
    expect(program()).toBe("–");
    expect(existsSync(`/sys/fs/bpf/xdpctl/${pair.left.inode}`)).toBe(false);
  });

  it("lists all maps of what is attached, used or not", () => {
    const { status, stdout, stderr } = script(
      "=maps",
      "load guard eth0",
      "=maps.flows:count()",
      "=maps",
      "local n = 0 for name, map in pairs(maps) do if name:find('^deny_') and map:count() == 0 then n = n + 1 end end print(n)",
      "unload eth0",
      "=maps",
    );
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toMatch(
      /^no maps: .*\neth0 {2}guard .*\n\d+\nmaps: events, .*deny_v6, .*, stats.*\n5\neth0 {2}guard .*detached\nno maps: .*\n$/,
    );
  });

  it("acts while it waits for the next line", async () => {
    const repl = Running.xdpctl(pair.left, "repl");
    running.push(repl);
    expect(pair.right.ping(pair.leftAddress)).toBe(1);
    repl.write("load drop eth0\n");
    await repl.sees("eth0  drop");
    expect(pair.right.ping(pair.leftAddress)).toBe(0);
    repl.write("load pass eth0\n");
    await repl.sees("eth0  pass");
    expect(pair.right.ping(pair.leftAddress)).toBe(1);
    repl.child.stdin?.end();
    expect(await repl.ended()).toMatchObject({ status: 0, stderr: "" });
  });

  it.each<[string, number, string]>([
    ["load drop eth9", 5, "XDPCTL_E_NO_INTERFACE"],
    ["lod drop eth0", 2, "did you mean `load`?"],
    ["status --nonsense", 2, "XDPCTL_E_USAGE"],
    ["events", 2, "write --count N or --for DURATION"],
    ["load 'drop eth0", 2, "is not closed"],
    ["run pass eth0", 2, "XDPCTL_E_USAGE"],
  ])("ends at the first line that fails: `%s`", (line, code, text) => {
    const { status, stdout, stderr } = script("version", line, "status");
    expect(status).toBe(code);
    expect(stdout).toMatch(/^xdpctl .*\n$/);
    expect(stderr).toContain(text);
  });

  it("reads a file, /dev/null, an unfinished last line, and says what it can't read", () => {
    const file = join(folder, "commands");
    writeFileSync(file, "version\r\nversion");
    for (const [path, code, lines] of [
      [file, 0, 2],
      ["/dev/null", 0, 0],
      [folder, 5, 0],
    ] as const) {
      const fd = openSync(path, "r");
      const { status, stdout } = pair.left.exec([...XDPCTL, "repl"], { stdio: [fd, "pipe", "pipe"] });
      closeSync(fd);
      expect({ status, lines: stdout.split("\n").length - 1 }).toEqual({ status: code, lines });
    }
  });

  it("shows events that have an end", async () => {
    const repl = Running.xdpctl(pair.left, "repl");
    running.push(repl);
    repl.write("load guard eth0\nevents --flow --count 1\nversion\n");
    await repl.sees("guard");
    const flood = setInterval(() => pair.right.exec(["ping", "-c1", "-W1", pair.leftAddress]), 200);
    await repl.sees("xdpctl 0").finally(() => clearInterval(flood));
    repl.child.stdin?.end();
    const { status, stdout } = await repl.ended();
    expect(status).toBe(0);
    expect(stdout.split("\n")[1]).toMatch(/^\d\d:\d\d:\d\d\.\d{3} {2}eth0 {2}flow {2}.* → .* {2}icmp/);
  });

  it.each([
    ["SIGTERM", 143],
    ["SIGINT", 130],
    ["SIGHUP", 129],
  ] as const)("cleans up at %s", async (signal, code) => {
    const repl = Running.xdpctl(pair.left, "repl");
    running.push(repl);
    repl.write("load drop eth0\n");
    await repl.sees("eth0  drop");
    repl.signal(signal);
    expect(await repl.ended()).toMatchObject({ status: code });
    expect(program()).toBe("–");
  });

  it("--via needs the family, and says how to get it before anything is done", () => {
    const missing = xdpctl(pair.left, ["repl", "--via", "ECHO"], "load drop eth0\nstatus\n");
    expect(missing).toMatchObject({ status: 5, stdout: "" });
    expect(missing.stderr).toMatch(
      /^error: generic netlink has no family "ECHO" {2}XDPCTL_E_NO_FAMILY\n {2}hint: .*genl-echo/,
    );
    // nlctrl is there, but answers nothing to that.
    const other = xdpctl(pair.left, ["repl", "--via", "nlctrl"], "x = 1\n");
    expect(other).toMatchObject({ status: 4, stdout: "" });
    expect(other.stderr).toMatch(/^error: echo of 5 bytes through nlctrl: .*XDPCTL_E_NETLINK/);
  });

  it("ticks each second on lines of their own, where it is asked to", async () => {
    const repl = Running.xdpctl(pair.left, "repl");
    running.push(repl);
    repl.write("tick on\n");
    await repl.sees("the tick is on\n..");
    repl.write("=1 + 1\n");
    await repl.sees(/^\.\.+\n2\n/m);
    repl.child.stdin?.end();
    const { stdout } = await repl.ended();
    expect(stdout.endsWith("\n")).toBe(true);
  });

  it("is the client of a controller that runs already", async () => {
    const first = Running.xdpctl(pair.left, "repl");
    running.push(first);
    first.write("load guard eth0\n");
    await first.sees("guard");
    const { status, stdout, stderr } = script("deny 10.9.9.9", "rules");
    expect(status).toBe(0);
    expect(stderr).toMatch(/^a controller runs already \(pid \d+\): this is its client\n$/);
    expect(stdout).toContain("deny  10.9.9.9  on eth0");
    first.write("rules\n");
    await first.sees("10.9.9.9");
  });
});

describe("the prompt", () => {
  function terminal(env: Record<string, string> = {}): Running {
    const repl = Running.onTerminal(pair.left, { XDG_STATE_HOME: folder, ...env }, "repl");
    running.push(repl);
    return repl;
  }

  it("runs commands, completes, keeps a history, and leaves at Ctrl-D", async () => {
    const repl = terminal({ XDPCTL_NODE: "xdp", XDPCTL_LAB: "lab" });
    await repl.sees("xdp@lab> ");
    for (const key of ["load gua", "\t", "et", "\t"]) {
      repl.write(key);
      // Keys that come in one piece are a paste, and a paste is not completed.
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
    await repl.sees("load guard eth0 ");
    repl.write("\r");
    await repl.sees(/eth0 {2}guard {2}native {2}id \d+\r\n/);
    let from = repl.stdout.length;
    repl.write("lod drop eth0\r");
    await repl.sees("unknown command `lod`: did you mean `load`? (Lua expressions start with `=`)", from);
    from = repl.stdout.length;
    repl.write("load drop eth9\r");
    await repl.sees(/error: there is no interface eth9[^\n]* XDPCTL_E_NO_INTERFACE\r\n[\s\S]*xdp@lab> /, from);
    repl.write("\u0004");
    expect((await repl.ended()).status).toBe(0);
    expect(readFileSync(join(folder, "xdpctl/history"), "utf8")).toBe(
      "load guard eth0 \nlod drop eth0\nload drop eth9\n",
    );
    expect(program()).toBe("–");
  });

  it("stops a command at Ctrl-C, and forgets what was typed, but goes on", async () => {
    const repl = terminal();
    await repl.sees("xdpctl> ");
    repl.write("status --watch 50ms\r");
    await repl.sees(/INTERFACE[\s\S]*INTERFACE/);
    let from = repl.stdout.length;
    repl.write("\u0003");
    await repl.sees(/\^C\r\n[\s\S]*xdpctl> /, from);
    from = repl.stdout.length;
    repl.write("half a line");
    await repl.sees("half a line", from);
    repl.write("\u0003");
    await repl.sees(/\^C\r\n[\s\S]*xdpctl> /, from);
    from = repl.stdout.length;
    repl.write("version\r");
    await repl.sees("xdpctl 0", from);
    repl.write("exit\r");
    expect((await repl.ended()).status).toBe(0);
  });

  it("shows live lines above what is being typed", async () => {
    const repl = terminal();
    await repl.sees("xdpctl> ");
    repl.write("load guard eth0\r");
    await repl.sees("guard");
    repl.write("events --link\r");
    await repl.sees("events --link");
    await new Promise((resolve) => setTimeout(resolve, 200));
    const from = repl.stdout.length;
    repl.write("typed ahead");
    await repl.sees("typed ahead", from);
    pair.left.must("ip", "link", "add", "extra0", "type", "veth", "peer", "name", "extra1");
    const seen = await repl.sees(/extra0 {2}link {2}new[\s\S]*typed ahead/, from);
    // The line is cleared before the event is written, and drawn again below it.
    expect(seen).toContain("typed ahead\r\u001b[J");
  });

  it("ticks above the prompt, and leaves what is typed as it is", async () => {
    const repl = terminal();
    await repl.sees("xdpctl> ");
    repl.write("tick on\r");
    await repl.sees("the tick is on");
    const from = repl.stdout.length;
    repl.write("=20 +");
    // Each dot is drawn with those before it, one row above the prompt.
    const seen = await repl.sees("\u001b[1A\r\u001b[J...\r\n", from);
    expect(seen).toContain("\u001b[J.\r\n");
    expect(seen).toContain("\u001b[1A\r\u001b[J..\r\n");
    repl.write(" 22\r");
    await repl.sees(/^42\r$/m, from);
    repl.write("tick off\r");
    await repl.sees("the tick is off", from);
    repl.write("exit\r");
    expect((await repl.ended()).status).toBe(0);
  });

  it("ends when its terminal goes away, and leaves nothing attached", async () => {
    const repl = terminal();
    await repl.sees("xdpctl> ");
    repl.write("load drop eth0\r");
    await repl.sees("eth0  drop");
    repl.signal("SIGKILL");
    await repl.ended();
    const deadline = Date.now() + 5000;
    while (program() !== "–") expect(Date.now()).toBeLessThan(deadline);
  });
});
