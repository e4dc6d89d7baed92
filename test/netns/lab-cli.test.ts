// SPDX-License-Identifier: MIT
import { type SpawnSyncOptionsWithStringEncoding, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { hasTool, needs } from "../fixtures/needs.js";
import { Running, XDPCTL } from "../fixtures/xdpctl.js";

const NAME = `c${process.pid}`;
const folder = mkdtempSync(join(tmpdir(), "xdpctl-lab-"));
const FILE = join(folder, "xdp.lab.yml");
writeFileSync(FILE, readFileSync("labs/xdp.lab.yml", "utf8").replace("name: xdp", `name: ${NAME}`));
afterAll(() => rmSync(folder, { recursive: true }));

function lab(args: readonly string[], options: Partial<SpawnSyncOptionsWithStringEncoding> = {}) {
  const [command, ...first] = XDPCTL;
  const result = spawnSync(command, [...first, "lab", ...args], { encoding: "utf8", timeout: 60_000, ...options });
  return { status: result.status, signal: result.signal, stdout: result.stdout, stderr: result.stderr };
}
const exec = (node: string, ...argv: string[]) => lab(["exec", "--lab", NAME, node, "--", ...argv]);
const isUp = (): boolean => existsSync(`/run/xdpctl/labs/${NAME}`);

async function until(what: string, condition: () => boolean, ms = 10_000): Promise<void> {
  const deadline = Date.now() + ms;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

describe("lab commands", () => {
  beforeAll(() => {
    expect(lab(["deploy", FILE])).toMatchObject({ status: 0, stderr: "" });
  });
  afterAll(() => {
    expect(lab(["destroy", NAME])).toMatchObject({ status: 0, stdout: `lab ${NAME}: down\n` });
    expect(isUp()).toBe(false);
  });

  it("show the lab", () => {
    expect(lab(["ls"]).stdout).toMatch(new RegExp(`^${NAME} +ready +client xdp server internet`, "m"));
    expect(lab(["inspect", NAME]).stdout).toMatch(
      /^client +eth0 +up +br-lan +192\.168\.5\.100\/24 fd00:5::100\/64 +–$/m,
    );
    const found = JSON.parse(lab(["inspect", NAME, "--json"]).stdout) as { nodes: { name: string }[] };
    expect(found.nodes.map((node) => node.name)).toEqual(["client", "xdp", "server", "internet"]);
    const again = JSON.parse(lab(["deploy", FILE, "--json"]).stdout) as { nodes: { state: string }[] };
    expect(again.nodes.map((node) => node.state)).toEqual(["kept", "kept", "kept", "kept"]);
  });

  it("run a command as if it were here: arguments, streams, status, signal", () => {
    expect(exec("client", "ping", "-c1", "-W2", "server")).toMatchObject({ status: 0, stderr: "" });
    expect(exec("client", "printf", "%s|", "a b", "", "$x", "'\"\n", "--json").stdout).toBe("a b||$x|'\"\n|--json|");
    expect(lab(["exec", "--lab", NAME, "client", "sh", "-c", "echo out; echo err >&2; exit 42"])).toEqual({
      status: 42,
      signal: null,
      stdout: "out\n",
      stderr: "err\n",
    });
    expect(exec("client", "sh", "-c", "kill -KILL $$")).toMatchObject({ status: null, signal: "SIGKILL" });
    const data = randomBytes(1 << 20).toString("base64");
    const through = lab(["exec", "--lab", NAME, "server", "cat"], { input: data, maxBuffer: 1 << 24 });
    expect(through.stdout === data).toBe(true);
    expect(exec("xdp", "hostname").stdout).toBe("xdp\n");
    expect(exec("xdp", "pwd").stdout).toBe(`${process.cwd()}\n`);
  });

  it("are the command's own process: a signal reaches it", async () => {
    const running = new Running([
      ...XDPCTL,
      "lab",
      "exec",
      "--lab",
      NAME,
      "client",
      "--",
      "sh",
      "-c",
      "trap 'echo got; exit 7' TERM; echo ready; while :; do sleep 0.05; done",
    ]);
    await running.sees("ready");
    running.signal("SIGTERM");
    expect(await running.ended()).toMatchObject({ status: 7, stdout: "ready\ngot\n" });
  });

  it("work inside of a machine as well", () => {
    expect(exec("client", "xdpctl", "lab", "ls").stdout).toContain(NAME);
    expect(exec("client", "xdpctl", "lab", "exec", "server", "--", "hostname").stdout).toBe("server\n");
    expect(exec("xdp", "xdpctl", "status").stdout).toContain("eth1");
  });

  it("say what is wrong, each with its status", () => {
    expect(exec("clint", "true")).toMatchObject({ status: 5, stderr: expect.stringContaining("did you mean client?") });
    expect(exec("client", "no-such")).toMatchObject({
      status: 5,
      stderr: expect.stringContaining("no command `no-such`"),
    });
    expect(lab(["exec", "--lab", NAME, "client"])).toMatchObject({ status: 2 });
    expect(lab(["exec", "--lab", "nolab", "client", "true"])).toMatchObject({ status: 5 });
    expect(lab(["deploy", "no.lab.yml"])).toMatchObject({ status: 5 });
    expect(lab(["deploy", FILE, "--name", "a b"])).toMatchObject({ status: 2 });
    const bad = join(folder, "bad.lab.yml");
    writeFileSync(bad, "name: t\nnodes:\n  a: { fowrard: true }\n");
    for (const command of ["validate", "deploy"]) {
      const { status, stderr } = lab([command, bad]);
      expect([command, status]).toEqual([command, 7]);
      expect(stderr).toContain(`${bad}:3:8: \`nodes.a\` has no setting \`fowrard\` (did you mean forward?)`);
    }
    for (const command of ["deploy", "exec", "run", "gc"])
      expect(lab([command, "--help"]).stdout).toContain("Examples:");
  });

  it("run a script of standard input in a shell that prompts for nothing", () => {
    const script = "hostname; echo $-; echo err >&2; exit 3\n";
    const { status, stdout, stderr } = lab(["shell", "client", "--lab", NAME], { input: script });
    expect({ status, stderr }).toEqual({ status: 3, stderr: "err\n" });
    expect(stdout).toMatch(/^client\n[a-hj-zA-Z]*\n$/);
  });

  it("count one machine as one", () => {
    const file = join(folder, "one.lab.yml");
    writeFileSync(file, `name: ${NAME}-one\nnodes:\n  a:\n`);
    try {
      expect(lab(["deploy", file]).stdout).toMatch(/: 1 machine, \d+ ms$/m);
    } finally {
      lab(["destroy", `${NAME}-one`]);
    }
  });

  it("refuse settings that lead out of the machine's network", () => {
    const target = join(folder, "written");
    const file = join(folder, "hostile.lab.yml");
    writeFileSync(file, `name: ${NAME}-bad\nnodes:\n  a: { sysctls: { "net/../../..${target}": x } }\n`);
    expect(lab(["deploy", file])).toMatchObject({ status: 7, stderr: expect.stringContaining(`${file}:3:19: `) });
    expect(existsSync(target)).toBe(false);
    expect(existsSync(`/run/xdpctl/labs/${NAME}-bad`)).toBe(false);
  });

  it("check a file without root", () => {
    expect(lab(["validate", "labs/pair.lab.yml"]).stdout).toMatch(/^left +eth0 +10\.0\.1\.1\/24 fd00:0:1::1\/64/m);
  });
});

describe("lab run", () => {
  afterEach(() => expect(isUp()).toBe(false));
  const repl = (input: string) => lab(["run", FILE, "--repl", "xdp"], { input });

  it("is a REPL in a machine for a script, and takes the lab down after it", () => {
    const { status, stdout, stderr } = repl(
      "status\nlab exec client -- ping -c1 -W2 server\nlab exec server -- hostname\nexit\n",
    );
    expect(stderr).toContain(`lab ${NAME} is up`);
    expect(stdout).toContain("eth1");
    expect(stdout).toMatch(/64 bytes from server[\s\S]*\nserver\n$/);
    expect(status).toBe(0);
  });

  it("ends with the status of the line that failed", () => {
    expect(repl("lab exec client -- sh -c 'exit 9'\nlab ls\n").status).toBe(9);
    expect(repl("load drop nope0\n").status).toBe(5);
    expect(lab(["run", FILE, "--repl", "xpd"])).toMatchObject({
      status: 5,
      stderr: expect.stringContaining("did you mean xdp?"),
    });
  });

  it.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)("%s takes it down", async (signal) => {
    const running = new Running([...XDPCTL, "lab", "run", FILE, "--repl", "xdp"]);
    running.write("status\n");
    await running.sees("eth1");
    running.signal(signal);
    expect((await running.ended()).status).toBeGreaterThan(128);
  });

  it("without a REPL it waits for a signal", async () => {
    const running = new Running([...XDPCTL, "lab", "run", FILE]);
    await until("the lab", () => running.stderr.includes("is up"));
    expect(lab(["run", FILE])).toMatchObject({ status: 6, stderr: expect.stringContaining("is run by process") });
    running.signal("SIGTERM");
    expect((await running.ended()).status).toBe(143);
  });

  it("kill -9 leaves a lab that gc removes", async () => {
    const running = new Running([...XDPCTL, "lab", "run", FILE]);
    await until("the lab", () => running.stderr.includes("is up"));
    running.signal("SIGKILL");
    await running.ended();
    expect(lab(["gc"]).stdout).toMatch(new RegExp(`lab ${NAME}: removed \\(its process \\d+ is gone\\)`));
  });
});

describe("lab tmux", () => {
  afterEach(() => expect(isUp()).toBe(false));
  const pair = join(folder, "pair.lab.yml");
  writeFileSync(pair, `name: ${NAME}\nnodes:\n  left:\n  right:\nlinks:\n  - left:eth0 -- right:eth0\n`);

  it("shows the first machines of a lab that has no usual ones", async (context) => {
    needs(context, hasTool("tmux"), "tmux");
    const env = { ...process.env, TMUX_TMPDIR: folder, TMUX: undefined, SHELL: "/bin/sh" };
    const tmux = (...args: string[]): string => spawnSync("tmux", args, { env, encoding: "utf8" }).stdout;
    try {
      expect(lab(["tmux", pair], { env }).status).toBe(0);
      expect(tmux("list-panes", "-t", NAME).trim().split("\n")).toHaveLength(3);
      const pane = (n: number): string => tmux("capture-pane", "-p", "-t", `${NAME}:0.${n}`);
      await until("the REPL", () => pane(1).includes("left@"));
      await until("the shell", () => /@right:/.test(pane(2)));
    } finally {
      tmux("kill-server");
      lab(["destroy", NAME]);
    }
  });

  it("leaves no lab and no session when tmux fails, or is not there", () => {
    const bin = join(folder, "bin");
    const log = join(folder, "tmux.log");
    mkdirSync(bin);
    const cases = "has-session) exit 1;; new-session) echo @0;; split-window) echo no space >&2; exit 1;;";
    writeFileSync(join(bin, "tmux"), `#!/bin/sh\necho "$@" >> ${log}\ncase $1 in ${cases} esac\n`, { mode: 0o755 });
    expect(lab(["tmux", pair], { env: { ...process.env, PATH: `${bin}:${process.env.PATH}` } })).toMatchObject({
      status: 4,
      stderr: expect.stringContaining("tmux split-window failed: no space"),
    });
    expect(isUp()).toBe(false);
    expect(readFileSync(log, "utf8")).toContain(`kill-session -t =${NAME}`);
    const none = lab(["tmux", pair], { env: { ...process.env, PATH: folder } });
    expect(none).toMatchObject({ status: 5, stderr: expect.stringContaining("tmux is not installed") });
    const empty = join(folder, "empty.lab.yml");
    writeFileSync(empty, `name: ${NAME}\nnodes: {}\n`);
    const env = { ...process.env, PATH: `${bin}:${process.env.PATH}` };
    expect(lab(["tmux", empty], { env })).toMatchObject({ status: 5, stderr: expect.stringContaining("no machines") });
  });

  it("has four panes, and is there the second time", async (context) => {
    needs(context, hasTool("tmux"), "tmux");
    // A server of its own: nobody's sessions are touched.
    const env = { ...process.env, TMUX_TMPDIR: folder, TMUX: undefined, SHELL: "/bin/sh" };
    const tmux = (...args: string[]): string => spawnSync("tmux", args, { env, encoding: "utf8" }).stdout;
    try {
      expect(lab(["tmux", FILE], { env })).toMatchObject({
        status: 0,
        stdout: expect.stringContaining(`tmux attach -t ${NAME}`),
      });
      const panes = (): string[] =>
        tmux("list-panes", "-t", NAME, "-F", "#{pane_index} #{pane_dead}").trim().split("\n");
      expect(panes()).toHaveLength(4);
      const pane = (n: number): string => tmux("capture-pane", "-p", "-t", `${NAME}:0.${n}`);
      await until("the REPL", () => pane(1).includes("xdp@"));
      await until("the server's shell", () => /@server:/.test(pane(2)));
      await until("the client's shell", () => /@client:/.test(pane(3)));
      tmux("send-keys", "-t", `${NAME}:0.1`, "status", "Enter");
      await until("the REPL's answer", () => pane(1).includes("INTERFACE"));
      expect(lab(["tmux", FILE], { env }).status).toBe(0);
      expect(panes()).toHaveLength(4);
    } finally {
      tmux("kill-server");
      lab(["destroy", NAME]);
    }
  });
});
