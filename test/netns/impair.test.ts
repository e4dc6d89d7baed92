// SPDX-License-Identifier: MIT
import { spawnSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { XdpctlError } from "../../src/errors/index.js";
import { deploy, destroy, type ImpairedEnd, impair, impairments, Lab, parseLab } from "../../src/lab/index.js";
import { Running, XDPCTL } from "../fixtures/xdpctl.js";

const NAME = `i${process.pid}`;
const file = (more = ""): string => `
name: t
nodes: { a: , b: }
bridges: { br0: }
links:
  - endpoints: ["a:eth0", "br0"]
${more}
  - b:eth0 -- br0
`;
const tc = (node: string, interfaceName: string): string =>
  spawnSync("ip", ["netns", "exec", `${NAME}-${node}`, "tc", "qdisc", "show", "dev", interfaceName], {
    encoding: "utf8",
  }).stdout;
const of = (list: readonly ImpairedEnd[], end: string): ImpairedEnd | undefined => list.find((one) => one.end === end);
const failure = (body: () => unknown): XdpctlError => {
  try {
    body();
  } catch (error) {
    return error as XdpctlError;
  }
  throw new Error("it did not fail");
};
const hasNetem = spawnSync("unshare", ["-n", "tc", "qdisc", "add", "dev", "lo", "root", "netem"]).status === 0;

describe("an impaired link", () => {
  beforeAll(() => void deploy(parseLab(file("    impair: { rate: 8mbit, burst: 4096 }")), { name: NAME }));
  afterAll(() => destroy(NAME));

  it("is as the lab file says, in both directions, and only that one", () => {
    expect(tc("a", "eth0")).toMatch(/^qdisc tbf d9c0: root .*rate 8Mbit burst 4Kb/);
    expect(tc("switch", "a.eth0")).toContain("rate 8Mbit");
    expect(tc("b", "eth0")).not.toContain("tbf");
    expect(of(impairments(NAME), "a:eth0")).toMatchObject({
      ...{ to: "br0", state: "on", rate: 8e6, burst: 4096, limit: 50_000, delay: null },
    });
  });

  it("carries its rate and no more", async () => {
    const bytes = 750_000;
    const program = `
      const net = require("node:net");
      if (process.argv[1] === "serve") net.createServer((s) => { let n = 0, t;
        s.on("data", (d) => { t ??= performance.now(); n += d.length; });
        s.on("end", () => { console.log(n * 8 / (performance.now() - t) / 1000); process.exit(); });
      }).listen(7000, () => console.log("listening"));
      else net.connect(7000, "b").end(Buffer.alloc(${bytes}));`;
    const lab = Lab.open(NAME);
    const netns = (node: string) => ["ip", "netns", "exec", `${NAME}-${node}`];
    const server = new Running([...netns("b"), process.execPath, "-e", program, "serve"]);
    try {
      await server.sees("listening");
      const client = lab.spawn("a", [process.execPath, "-e", program], { stdio: "inherit" });
      const rate = Number((await server.sees(/listening\n[\d.]+\n/)).split("\n")[1]);
      expect(client.pid).toBeGreaterThan(0);
      // The payload is 94 % of the frames; two bursts and the queue at the start give a little more.
      expect(rate).toBeGreaterThan(5);
      expect(rate).toBeLessThan(8.3);
    } finally {
      await server.close();
    }
    expect(of(impairments(NAME), "a:eth0")?.sent.bytes).toBeGreaterThan(bytes);
  });

  it("changes one setting and keeps the others; off and on; reset", () => {
    impair(NAME, ["a:eth0"], { set: { rate: 2e6 } });
    expect(of(impairments(NAME), "a:eth0")).toMatchObject({ rate: 2e6, burst: 4096, limit: 15_180 });
    expect(of(impairments(NAME), "br0:a.eth0")).toMatchObject({ rate: 8e6 });
    impair(NAME, ["a:eth0"], { on: false });
    expect(tc("a", "eth0")).not.toContain("tbf");
    expect(of(impairments(NAME), "a:eth0")).toMatchObject({ state: "off", rate: null, settings: { rate: 2e6 } });
    impair(NAME, ["a:eth0"], { on: true });
    expect(tc("a", "eth0")).toContain("rate 2Mbit");
    impair(NAME, ["br0", "a:eth0"], { reset: true });
    expect(impairments(NAME).map((one) => one.state)).toEqual(["none", "none", "none", "none"]);
    deploy(parseLab(file("    impair: { rate: 3mbit }")), { name: NAME });
    expect(tc("a", "eth0") + tc("switch", "a.eth0")).toMatch(/rate 3Mbit.*\n.*rate 3Mbit/);
    deploy(parseLab(file()), { name: NAME });
    expect(tc("a", "eth0") + tc("switch", "a.eth0")).not.toContain("tbf");
  });

  it.skipIf(hasNetem)("says what the kernel lacks, and keeps what there was", () => {
    impair(NAME, ["a:eth0"], { set: { rate: 5e6 } });
    const error = failure(() => impair(NAME, ["a:eth0"], { set: { delay: 10_000 } }));
    expect(error.code).toBe("XDPCTL_E_NOT_SUPPORTED");
    expect(error.message).toMatch(
      /^a:eth0: delay, jitter, loss and the like can't be set: the kernel .* has no sch_netem$/,
    );
    expect(error.remedy).toMatch(/kind: vm/);
    expect(of(impairments(NAME), "a:eth0")).toMatchObject({ state: "on", rate: 5e6, settings: { rate: 5e6 } });
    const notes: string[] = [];
    const spec = parseLab(file("    impair: { rate: 1mbit, delay: 10ms, optional: true }"));
    deploy(spec, { name: NAME, onProgress: ({ note }) => void (note !== undefined && notes.push(note)) });
    expect(notes.map((note) => note.split(":").slice(0, 2).join(":"))).toEqual(["a:eth0", "br0:a.eth0"]);
    expect(tc("a", "eth0")).toContain("rate 1Mbit");
    const refused = parseLab(file("    impair: { rate: 1mbit, delay: 10ms }"));
    expect(failure(() => deploy(refused, { name: NAME })).code).toBe("XDPCTL_E_NOT_SUPPORTED");
    expect(of(impairments(NAME), "a:eth0")).toMatchObject({ state: "on", rate: 1e6 });
  });

  it("leaves alone what someone else made", () => {
    impair(NAME, ["a:eth0"], { reset: true });
    Lab.open(NAME).inside("a", () => spawnSync("tc", ["qdisc", "add", "dev", "eth0", "root", "handle", "1:", "htb"]));
    expect(failure(() => impair(NAME, ["a:eth0"], { set: { rate: 1e6 } }))).toMatchObject({
      code: "XDPCTL_E_LAB_CONFLICT",
      message: "a:eth0 has a queueing discipline htb of someone else",
    });
    impair(NAME, ["a:eth0"], { reset: true });
    expect(tc("a", "eth0")).toContain("htb 1: root");
  });

  it("is a command: with the ends as the lab file has them, quoted or not", () => {
    const [node, ...first] = XDPCTL;
    const xdpctl = (...args: string[]) =>
      spawnSync(node, [...first, "lab", "impair", "--lab", NAME, ...args], { encoding: "utf8", timeout: 20_000 });
    expect(xdpctl("b:eth0 -- br0", "rate=2mbit").stdout).toMatch(
      /^b:eth0 +br0 +on +2mbit +– +– +– +3036 +15180 +\d+ +0$/m,
    );
    expect(xdpctl("b:eth0", "--", "br0", "off").stdout).toMatch(/^br0:b.eth0 +b:eth0 +off +2mbit/m);
    expect(JSON.parse(xdpctl("b:eth0", "--json").stdout)).toMatchObject({
      ends: [{ end: "b:eth0", state: "off", settings: { rate: 2e6 }, rate: null }],
    });
    expect(xdpctl("b:eth0", "jitter=1ms")).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("needs a delay"),
    });
    expect(xdpctl("b:eth1", "rate=1mbit")).toMatchObject({ status: 5, stderr: expect.stringContaining("b:eth0?") });
    expect(xdpctl("reset")).toMatchObject({ status: 0, stderr: "" });
  });
});
