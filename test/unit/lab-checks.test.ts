// SPDX-License-Identifier: MIT
import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import type { XdpctlError } from "../../src/errors/index.js";
import { type CheckSpec, junitText, parseLab, type TestReport } from "../../src/lab/index.js";
import { hasTool, needs } from "../fixtures/needs.js";

const PAIR =
  "name: t\nnodes:\n  a:\n  b:\nbridges: { br0: { subnet: none, subnet6: none } }\nlinks:\n  - a:eth0 -- b:eth0\nchecks:\n";
const checks = (text: string): readonly CheckSpec[] => parseLab(`${PAIR}${text}`, "t.yml").checks;
const failure = (text: string): XdpctlError => {
  try {
    checks(text);
  } catch (error) {
    return error as XdpctlError;
  }
  throw new Error(`it was accepted:\n${text}`);
};

describe("checks of a lab file", () => {
  it("are read with what they leave open", () => {
    expect(checks("  reach: { from: a, ping: b, within: 1.5s, count: 3 }\n")).toEqual([
      {
        name: "reach",
        kind: "ping",
        after: [],
        within: 1500,
        fails: false,
        from: "a",
        target: "b",
        address: "10.0.1.2",
        count: 3,
      },
    ]);
    const [mute, port, six] = checks(
      "  mute: { from: a, ping: 192.0.2.7, fails: true }\n  port: { from: a, tcp: { to: b, port: 80 } }\n  six: { from: a, udp: { to: b6, port: 53 } }\n",
    );
    expect(mute).toMatchObject({ fails: true, within: 1000 });
    expect(port).toMatchObject({ kind: "tcp", address: "10.0.1.2", machine: "b", port: 80, within: 2000 });
    expect(six).toMatchObject({ kind: "udp", address: "fd00:0:1::2", machine: "b" });
    const [run] = checks("  run: { on: a, exec: [ping, -c, 1, b], stdout: { matches: '1 received' } }\n");
    expect(run).toMatchObject({ exec: ["ping", "-c", "1", "b"], status: 0, stdout: { matches: "1 received" } });
    const [drops, most] = checks(
      "  x: { on: a, xdp: eth0, verdict: DROP }\n  y: { on: a, xdp: eth0, verdict: TX, at-most: 0 }\n",
    );
    expect(drops).toMatchObject({ interface: "eth0", verdict: "drop", atLeast: 1 });
    expect(most).toEqual(expect.not.objectContaining({ atLeast: expect.anything() }));
    expect(checks("  fast: { from: a, to: b, throughput: 1.5gbit, for: 250ms }\n")[0]).toMatchObject({
      ...{ kind: "throughput", rate: 1.5e9, duration: 250, address: "10.0.1.2" },
    });
  });

  it("may have steps before them", () => {
    const [, second] = checks(
      "  one: { from: a, ping: b }\n  two: { after: [one, { on: b, exec: ['true'] }], at: br0, seen: icmp }\n",
    );
    expect(second?.after).toEqual([{ check: "one" }, { on: "b", exec: ["true"] }]);
  });

  it.each([
    [
      "a misspelt setting",
      "  x: { from: a, pign: b }\n",
      "9:17",
      "`checks.x` has no setting `pign` (did you mean ping?)",
    ],
    ["nothing to look for", "  x: { from: a }\n", "9:3", "a check needs one of `ping`, `tcp`"],
    [
      "two things at once",
      "  x: { from: a, ping: b, exec: [a] }\n",
      "9:26",
      "a check is about one thing: `ping` or `exec`?",
    ],
    ["what does not belong", "  x: { from: a, ping: b, status: 3 }\n", "9:26", "`status` says nothing beside `ping`"],
    ["what is missing", "  x: { ping: b }\n", "9:3", "a check with `ping` needs `from`"],
    ["a misspelt machine", "  x: { from: aa, ping: b }\n", "9:14", "there is no machine `aa` (did you mean a?)"],
    [
      "a misspelt target",
      "  x: { from: a, ping: bb }\n",
      "9:23",
      "`bb` is neither a machine nor an address (did you mean b?)",
    ],
    ["a misspelt interface", "  x: { on: a, xdp: eht0 }\n", "9:20", "`a` has no interface `eht0` (did you mean eth0?)"],
    [
      "an unknown place",
      "  x: { at: br1, seen: icmp }\n",
      "9:12",
      "`br1` is neither `machine:interface` nor a bridge (did you mean br0?)",
    ],
    [
      "an unknown check",
      "  one: { from: a, ping: b }\n  x: { after: onee, from: a, ping: b }\n",
      "10:15",
      "there is no check `onee` (did you mean one?)",
    ],
    [
      "a check that comes later",
      "  x: { after: y, from: a, ping: b }\n  y: { from: a, ping: b }\n",
      "9:15",
      "`y` must come before this one",
    ],
    ["itself", "  x: { after: x, from: a, ping: b }\n", "9:15", "`x` must come before this one"],
    [
      "no duration",
      "  x: { from: a, ping: b, within: 2 }\n",
      "9:34",
      "`checks.x.within` must be text, not a whole number",
    ],
    [
      "a wrong duration",
      "  x: { from: a, ping: b, within: soon }\n",
      "9:34",
      "a duration is written as 500ms, 2s or 1m",
    ],
    ["a wrong verdict", "  x: { on: a, xdp: eth0, verdict: drop }\n", "9:35", "`drop`: it must match"],
    [
      "a wrong expression",
      "  x: { on: a, exec: [b], stdout: { matches: '(' } }\n",
      "9:45",
      "Invalid regular expression",
    ],
    ["a wrong throughput", "  x: { from: a, to: b, throughput: fast }\n", "9:36", "a throughput is written as 800kbit"],
    [
      "bounds without a verdict",
      "  x: { on: a, xdp: eth0, at-least: 3 }\n",
      "9:3",
      "`at-least` and `at-most` count a `verdict`",
    ],
    [
      "a datagram that nobody hears",
      "  x: { from: a, udp: { to: 192.0.2.9, port: 1 } }\n",
      "9:28",
      "no machine of this lab has `192.0.2.9`",
    ],
    ["a name that is none", "  'a b': { from: a, ping: b }\n", "9:3", "a check's name has 1 to 64"],
  ])("refuse %s, and say where", (_, text, place, message) => {
    const error = failure(text);
    expect(error.code).toBe("XDPCTL_E_LAB_FILE");
    expect(error.message).toContain(`t.yml:${place}: `);
    expect(error.message).toContain(message);
  });
});

const REPORT: TestReport = {
  file: "labs/a & b.lab.yml",
  name: "t",
  started: "2026-01-02T03:04:05.678Z",
  state: "failed",
  ms: 1234,
  runs: [
    {
      target: "host",
      kernel: "6.18.1",
      lab: "t-t123456",
      ms: 1200,
      kernelLog: { state: "splat", splats: [{ title: "BUG: <x>", lines: ["BUG: <x>", "Call Trace:"] }] },
      checks: [
        { name: "reach", kind: "ping", state: "passed", message: "fine", ms: 20 },
        {
          name: "run",
          kind: "exec",
          state: "failed",
          message: 'a "b" <c>\nd',
          details: "]]> \u001b[1m & \ud800",
          ms: 1000,
        },
        { name: "seen", kind: "seen", state: "skipped", message: "no libpcap", ms: 0 },
      ],
    },
  ],
};

describe("JUnit XML", () => {
  it("is read by a parser as what it was", (context) => {
    needs(context, hasTool("python3"), "python3");
    const script = `
import sys, json, xml.etree.ElementTree as E
root = E.fromstring(sys.stdin.buffer.read())
print(json.dumps([root.tag, root.attrib, [[s.attrib["name"], s.attrib["timestamp"], [[c.attrib["name"], [[k.tag, k.attrib.get("message"), k.text] for k in c]] for c in s.iter("testcase")]] for s in root]]))`;
    const { stdout, stderr } = spawnSync("python3", ["-c", script], { input: junitText(REPORT), encoding: "utf8" });
    expect(stderr).toBe("");
    expect(JSON.parse(stdout)).toEqual([
      "testsuites",
      { name: "t", tests: "4", failures: "2", errors: "0", skipped: "1", time: "1.234" },
      [
        [
          "t on 6.18.1",
          "2026-01-02T03:04:05",
          [
            ["reach", []],
            ["run", [["failure", 'a "b" <c>\nd', "]]> \\x1b[1m & \ufffd"]]],
            ["seen", [["skipped", "no libpcap", null]]],
            ["kernel log", [["failure", "BUG: <x>", "BUG: <x>\nCall Trace:"]]],
          ],
        ],
      ],
    ]);
  });
});
