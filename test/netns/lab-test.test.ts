// SPDX-License-Identifier: MIT
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import type { TestReport } from "../../src/lab/index.js";
import { hasTool, needs } from "../fixtures/needs.js";
import { Running, XDPCTL } from "../fixtures/xdpctl.js";

const NAME = `k${process.pid}`;
const folder = mkdtempSync(join(tmpdir(), "xdpctl-test-"));
afterAll(() => rmSync(folder, { recursive: true }));

const LAB = `name: ${NAME}\nnodes:\n  left:\n  right:\nlinks:\n  - left:eth0 -- right:eth0\nchecks:\n`;

function file(checks: string): string {
  const path = join(folder, `${Math.random().toString(36).slice(2)}.lab.yml`);
  writeFileSync(path, `${LAB}${checks}`);
  return path;
}

function run(argv: readonly string[], input = ""): { status: number | null; stdout: string; stderr: string } {
  const [command = "", ...args] = argv;
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: "utf8", timeout: 60_000, input });
  return { status, stdout, stderr };
}
const test = (checks: string, ...args: string[]) => run([...XDPCTL, "lab", "test", file(checks), ...args]);
const left = (): string[] => {
  const labs = existsSync("/run/xdpctl/labs") ? readdirSync("/run/xdpctl/labs") : [];
  return labs.filter((lab) => lab.startsWith(NAME));
};
const states = (stdout: string): Record<string, string> =>
  Object.fromEntries((JSON.parse(stdout) as TestReport).runs[0]?.checks.map(({ name, state }) => [name, state]) ?? []);

describe("lab test", () => {
  it("finds out what holds, by every kind of check", () => {
    const { status, stdout, stderr } = test(
      `
  ping: { from: left, ping: right }
  ping6: { from: left, ping: right6, count: 2 }
  tcp: { from: left, tcp: { to: right, port: 8080 } }
  udp: { from: right, udp: { to: left6, port: 5353 } }
  mute: { from: left, tcp: { to: 10.0.1.77, port: 80 }, fails: true, within: 200ms }
  exec: { on: right, exec: [sh, -c, hostname; echo no >&2; exit 3], status: 3, stdout: right, stderr: { contains: n } }
  program: { after: { on: right, exec: [xdpctl, load, guard, eth0] }, on: right, xdp: eth0, program: guard }
  verdict: { after: [program, { on: left, exec: [ping, -c1, right] }], on: right, xdp: eth0, verdict: PASS, at-least: 1 }
  rule: { after: { on: right, exec: [xdpctl, deny, 203.0.113.0/24] }, on: right, map: deny_v4, key: { addr: 203.0.113.0, prefixLen: 24 }, value: { hits: 0 } }
  norule: { on: right, map: deny_v4, key: { addr: 203.0.114.0, prefixLen: 24 }, fails: true, within: 50ms }
  seen: { after: { on: left, exec: [ping, -c1, right] }, at: "right:eth0", seen: "icmp[icmptype] = icmp-echo" }
  unseen: { after: { on: left, exec: [ping, -c1, right] }, at: "right:eth0", seen: udp port 99, fails: true, within: 100ms }
  fast: { from: left, to: right, throughput: 1mbit, for: 100ms }
`,
      "--json",
    );
    const report = JSON.parse(stdout) as TestReport;
    expect(report.runs[0]?.checks.filter((check) => check.state !== "passed")).toEqual([]);
    expect(report).toMatchObject({ state: "passed", runs: [{ target: "host", kernelLog: { state: "clean" } }] });
    expect(stderr).toMatch(new RegExp(`^lab ${NAME}-t[0-9a-f]{6} is up: left, right`));
    expect(status).toBe(0);
    expect(left()).toEqual([]);
  });

  it("tells what does not hold, and keeps what a person needs", () => {
    const bundle = join(folder, "bundle");
    const junit = join(folder, "junit.xml");
    const checks = `
  mute: { from: left, ping: right, fails: true }
  reach: { from: left, ping: 10.0.1.77, within: 300ms }
  status: { on: left, exec: [sh, -c, echo so; echo why >&2; exit 3] }
  nocommand: { on: left, exec: [no-such] }
  long: { on: left, exec: [sh, -c, sleep 77 & sleep 78], within: 100ms }
  step: { after: { on: right, exec: ["false"] }, from: left, ping: right }
  seen: { after: { on: left, exec: [ping, -c1, right] }, at: "right:eth0", seen: udp port 99, within: 100ms }
  slow: { from: left, to: right, throughput: 900gbit, for: 100ms }
  next: { after: slow, from: left, ping: right }
  good: { from: left, ping: right }
`;
    const { status, stdout, stderr } = test(checks, "--junit", junit, "--pause-on-fail");
    const rows: Record<string, string[]> = {};
    for (const row of stdout.split("\n").map((line) => line.split(/ {2,}/))) rows[row[0] ?? ""] = row;
    expect(Object.entries(rows).flatMap(([name, row]) => (row[1] === "FAILED" ? [name] : []))).toEqual([
      "mute",
      "reach",
      "status",
      "nocommand",
      "long",
      "step",
      "seen",
      "slow",
    ]);
    expect(rows.mute?.[3]).toBe("right answers left, and should not");
    expect(rows.status?.[3]).toBe("`sh -c 'echo so; echo why >&2; exit 3'` on left ended with 3");
    expect(stdout).toContain("\n    so\n    why\n");
    expect(rows.nocommand?.[3]).toContain("there is no command `no-such` in left");
    expect(rows.long?.[3]).toContain("still ran after 100 ms");
    expect(rows.step?.[3]).toBe("before it, `false` on right ended with 1");
    expect(rows.next?.slice(1)).toEqual(["skipped", "0 ms", "`slow` did not pass"]);
    expect(rows.good?.[1]).toBe("ok");
    expect(stdout).toMatch(/^failed: 10 checks, 8 failed, 1 skipped, /m);
    expect(status).toBe(1);
    expect(stderr).toContain("not pausing after check 'mute' failed: standard input or output is no terminal");
    expect(left()).toEqual([]);
    expect(readFileSync(junit, "utf8")).toContain('tests="11" failures="8" errors="0" skipped="1"');
    expect(run(["pgrep", "-fx", "sleep 7[78]"]).stdout).toBe("");
    const again = [...XDPCTL, "lab", "test", file(checks), "mute", "seen", "good", "--bundle", bundle];
    expect(run(again)).toMatchObject({ status: 1, stdout: expect.stringContaining(`${bundle}/`) });
    expect(readdirSync(bundle).sort()).toEqual(["kernel.log", "mute", "report.json", "seen"]);
    expect(readFileSync(join(bundle, "mute", "left", "links.txt"), "utf8")).toMatch(/eth0@[\s\S]*RX:/);
    expect(readFileSync(join(bundle, "mute", "right", "xdp.txt"), "utf8")).toContain("INTERFACE");
    // It has all packets, because the filter is what may be wrong.
    const packets = run(["tcpdump", "-nr", join(bundle, "seen", "packets.pcapng")]).stdout;
    expect(packets).toContain("ICMP echo request");
    expect(run(again)).toMatchObject({ status: 2, stderr: expect.stringContaining("is not empty") });
  });

  it("passes for the lab of the README", () => {
    const { status, stdout } = run([...XDPCTL, "lab", "test", "labs/xdp.lab.yml"]);
    expect(stdout).toMatch(/^blocked +ok .*server does not answer client$/m);
    expect(stdout).toMatch(/^passed: \d+ checks, /m);
    expect(status).toBe(0);
  });

  it("runs the checks that are named, and what they come after", () => {
    const checks =
      "  a: { from: left, ping: right }\n  b: { from: left, ping: right }\n  c: { after: b, from: left, ping: right }\n";
    const { status, stdout } = test(checks, "c", "--json");
    expect({ status, states: states(stdout) }).toEqual({ status: 0, states: { b: "passed", c: "passed" } });
  });

  it.each([
    ["no checks", "  {}\n", [], "has no `checks`"],
    [
      "an unknown check",
      "  reach: { from: left, ping: right }\n",
      ["raech"],
      "has no check `raech` (did you mean reach?)",
    ],
    ["a bad file", "  reach: { from: left, pign: right }\n", [], "did you mean ping?"],
    [
      "a bad filter",
      "  seen: { at: 'left:eth0', seen: foo bar }\n",
      [],
      'the check seen: the filter "foo bar" is wrong',
    ],
  ])("ends with 2 for %s, and brings nothing up", (_, checks, names, message) => {
    const { status, stderr } = test(checks, ...names);
    expect(stderr).toContain(message);
    expect(stderr).not.toContain("is up");
    expect(status).toBe(2);
  });

  it("takes a kernel's log that can't be read for no clean one, and a process's words for no splat", () => {
    const checks = "  fake: { on: left, exec: [sh, -c, 'echo BUG: fake > /dev/kmsg'] }\n";
    expect(test(checks)).toMatchObject({ status: 0 });
    const script = 'mount --bind /dev/null /dev/kmsg && exec "$@"';
    const blind = ["unshare", "-m", "sh", "-c", script, "sh", ...XDPCTL, "lab", "test", file(checks)];
    const { status, stdout } = run(blind);
    expect(stdout).toMatch(/^kernel log {2}not read$/m);
    expect(stdout).toMatch(/^warnings: 1 check, /m);
    expect(status).toBe(3);
    expect(run([...blind, "--no-kernel-log"])).toMatchObject({ status: 0 });
  });

  it("runs twice at once, and stops when it is told to", async () => {
    const long = file("  long: { on: left, exec: [sleep, 79] }\n");
    const one = new Running([...XDPCTL, "lab", "test", long]);
    const two = new Running([...XDPCTL, "lab", "test", long]);
    for (const it of [one, two]) while (!it.stderr.includes("is up")) await new Promise((r) => setTimeout(r, 10));
    expect(left()).toHaveLength(2);
    one.signal("SIGINT");
    expect(await one.ended()).toMatchObject({ status: 130, stderr: expect.stringContaining("the lab is down") });
    expect(left()).toHaveLength(1);
    two.signal("SIGKILL");
    await two.ended();
    expect(run([...XDPCTL, "lab", "gc"]).stdout).toMatch(new RegExp(`^lab ${NAME}-t.*: removed`, "m"));
    expect(left()).toEqual([]);
  });

  it("halts with a prompt on a terminal", async (context) => {
    needs(context, hasTool("script"), "script(1)");
    const checks = file("  bad: { on: left, exec: ['false'] }\n  next: { from: left, ping: right }\n");
    const line = [...XDPCTL, "lab", "test", checks, "--pause-on-fail"].map((word) => `'${word}'`).join(" ");
    const running = new Running(["script", "-qefc", line, "/dev/null"]);
    await running.sees("== PAUSING: after check 'bad' failed ==");
    await running.sees("pause> ");
    running.write("exec right hostname\n");
    await running.sees(/\r?\nright\r?\n/);
    running.write("shel left\n");
    await running.sees("did you mean shell?");
    running.write("quit\n");
    const { status, stdout } = await running.ended();
    expect(stdout).toMatch(/next {2,}skipped .*the test was ended before it/);
    expect(status).toBe(1);
    expect(left()).toEqual([]);
  });

  it("leaves the lab up with --keep", () => {
    const { status, stderr } = test("  reach: { from: left, ping: right }\n", "--keep");
    expect(status).toBe(0);
    const [kept = ""] = left();
    expect(stderr).toContain(`lab ${kept} goes on`);
    expect(run([...XDPCTL, "lab", "destroy", kept])).toMatchObject({ status: 0 });
  });
});
