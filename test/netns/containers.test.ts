// SPDX-License-Identifier: MIT
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { deploy, parseLab } from "../../src/lab/index.js";
import { hasTool, needs } from "../fixtures/needs.js";
import { Running, XDPCTL } from "../fixtures/xdpctl.js";

const NAME = `o${process.pid}`;
const folder = mkdtempSync(join(tmpdir(), "xdpctl-containers-"));
const FILE = join(folder, "c.lab.yml");

interface Node {
  name: string;
  state: string;
  interfaces: { ifindex: number }[];
  container?: { id: string; engine: string; options: string };
}

function run(command: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env) {
  const { status, signal, stdout, stderr } = spawnSync(command, args, { encoding: "utf8", timeout: 30_000, env });
  return { status, signal, stdout, stderr };
}
const lab = (...args: string[]) => run(XDPCTL[0], [XDPCTL[1], "lab", ...args]);
const exec = (node: string, ...argv: string[]) => lab("exec", "--lab", NAME, node, "--", ...argv);
const podman = (...args: string[]): string => run("podman", args).stdout.trim();
const nodes = (): Node[] => (JSON.parse(lab("inspect", NAME, "--json").stdout) as { nodes: Node[] }).nodes;
const node = (name: string): Node => nodes().find((one) => one.name === name) as Node;
const stateOf = (): string | undefined => {
  const { labs } = JSON.parse(lab("ls", "--json").stdout) as { labs: { name: string; state: string }[] };
  return labs.find((one) => one.name === NAME)?.state;
};
const containers = (): string => podman("ps", "-aq", "--no-trunc", "--filter", `label=xdpctl.lab=${NAME}`);
const mounts = (): string[] =>
  readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter((line) => line.includes("containers/storage") || line.includes(NAME));

const PAIR = `name: ${NAME}
nodes:
  a: { kind: container, image: xdpctl/host }
  b: { kind: netns }
links: ["a:eth0 -- b:eth0"]
`;
const write = (text: string): string => {
  writeFileSync(FILE, text);
  return FILE;
};

const works = hasTool("podman") && hasTool("apt-get");

beforeAll(() => {
  if (!works) return;
  const built = run("scripts/build-image", ["--quiet", "host"]);
  if (built.status !== 0) throw new Error(`scripts/build-image: ${built.stderr}`);
}, 120_000);
afterEach(() => {
  if (existsSync(`/run/xdpctl/labs/${NAME}`)) lab("destroy", NAME);
  if (works) expect(containers()).toBe("");
});
afterAll(() => rmSync(folder, { recursive: true }));

describe("labs/xdp-containers.lab.yml", () => {
  it("has containers at both ends, and takes them along", (context) => {
    needs(context, works, "podman and apt-get");
    const [images, start] = [podman("images", "-aq"), mounts()];
    const up = lab("deploy", "labs/xdp-containers.lab.yml", "--name", NAME);
    expect(up).toMatchObject({ status: 0, stderr: "" });
    expect(exec("client", "ping", "-c1", "-W2", "server").stdout).toContain("64 bytes from server (192.168.6.1)");
    expect(exec("client", "wget", "-qO-", "server/packages").stdout).toContain("tcpdump");
    expect(run("ip", ["-n", `${NAME}-client`, "-br", "addr"]).stdout).toContain("192.168.5.100/24");
    expect(exec("xdp", "xdpctl", "load", "drop", "eth1").status).toBe(0);
    expect(exec("client", "ping", "-c1", "-W1", "server").status).toBe(1);
    expect(lab("destroy", NAME)).toMatchObject({ status: 0, stderr: "" });
    expect(containers()).toBe("");
    expect(podman("images", "-aq")).toBe(images);
    expect(mounts().length).toBe(start.length);
    expect(run("ip", ["netns", "list"]).stdout).not.toContain(NAME);
  });
});

describe("commands in a container", () => {
  it("have their arguments, streams, status, files, and the container's capabilities", async (context) => {
    needs(context, works, "podman and apt-get");
    mkdirs();
    write(
      PAIR.replace(
        "image: xdpctl/host }",
        `image: xdpctl/host, env: { COLOUR: "light blue" }, mounts: ["./files:/srv:ro"], capabilities: { drop: [net_raw] } }`,
      ),
    );
    expect(lab("deploy", FILE)).toMatchObject({ status: 0, stderr: "" });
    expect(exec("a", "printf", "%s|", "a b", "", "$x", "'\"\n").stdout).toBe("a b||$x|'\"\n|");
    expect(exec("a", "sh", "-c", "echo out; echo err >&2; exit 42")).toEqual({
      status: 42,
      signal: null,
      stdout: "out\n",
      stderr: "err\n",
    });
    expect(exec("a", "sh", "-c", "kill -KILL $$")).toMatchObject({ status: null, signal: "SIGKILL" });
    expect(exec("a", "sh", "-c", 'echo "$COLOUR $XDPCTL_NODE $(hostname) $(cat /srv/file)"').stdout).toBe(
      "light blue a a hello\n",
    );
    expect(exec("a", "touch", "/srv/new").stderr).toContain("Read-only file system");
    // No raw sockets: neither for the container nor for what comes in later.
    const [, given = ""] = /^CapEff:\s*(\S+)/m.exec(exec("a", "cat", "/proc/self/status").stdout) ?? [];
    expect(BigInt(`0x${given}`) & (1n << 13n)).toBe(0n);
    expect(exec("a", "tcpdump", "-c1", "-i", "eth0").stderr).toMatch(/permission|not permitted/i);
    expect(exec("a", "no-such-command")).toMatchObject({
      status: 5,
      stderr: expect.stringContaining("there is no command `no-such-command` in the container of a"),
    });
    // As in a machine of namespaces.
    expect(exec("a", "/etc/passwd").stderr).toMatch(/starting `\/etc\/passwd`.*EACCES.*XDPCTL_E_NO_FILE/);
    expect(exec("a", "/etc/passwd/x").stderr).toMatch(/ENOTDIR.*XDPCTL_E_NO_FILE/);
    const running = new Running([
      ...XDPCTL,
      ...[
        "lab",
        "exec",
        "--lab",
        NAME,
        "a",
        "--",
        "sh",
        "-c",
        'trap "echo got; exit 9" TERM; echo up; sleep 60 >&- 2>&- & wait',
      ],
    ]);
    await running.sees("up");
    running.signal("SIGTERM");
    expect(await running.ended()).toMatchObject({ status: 9, stdout: "up\ngot\n" });
  });
});

describe("deploying again", () => {
  it("makes a container anew when its command differs, and keeps all else", (context) => {
    needs(context, works, "podman and apt-get");
    expect(lab("deploy", write(PAIR)).status).toBe(0);
    const before = nodes();
    expect(JSON.parse(lab("deploy", FILE, "--json").stdout)).toMatchObject({
      nodes: [{ state: "kept" }, { state: "kept" }],
    });
    expect(node("a").container?.id).toBe(before[0]?.container?.id);
    write(PAIR.replace("host }", 'host, command: "sleep 1000", ready: "test -d /sys/class/net/eth0" }'));
    expect(JSON.parse(lab("deploy", FILE, "--json").stdout)).toMatchObject({
      nodes: [{ state: "created" }, { state: "kept" }],
    });
    expect(node("a").container?.id).not.toBe(before[0]?.container?.id);
    expect(nodes().map((one) => one.interfaces[0]?.ifindex)).toEqual(before.map((one) => one.interfaces[0]?.ifindex));
    expect(exec("b", "ping", "-c1", "-W2", "a").status).toBe(0);
    // What has ended is started again.
    podman("kill", node("a").container?.id ?? "");
    expect(node("a").state).toBe("down");
    expect(stateOf()).toBe("degraded");
    expect(exec("a", "true").stderr).toContain("its container has ended");
    expect(lab("deploy", FILE).status).toBe(0);
    expect(exec("a", "true").status).toBe(0);
    // The kind is one line, too.
    expect(lab("deploy", write(PAIR.replace("kind: container, image: xdpctl/host", "kind: netns"))).status).toBe(0);
    expect(containers()).toBe("");
    expect(exec("b", "ping", "-c1", "-W2", "a").status).toBe(0);
  });
});

describe("docker", () => {
  it("runs the same lab where there is no podman", (context) => {
    const answers = run("docker", ["version"]).status === 0;
    needs(context, works && answers, "a docker daemon that answers");
    const cache = process.env.XDPCTL_CACHE ?? `${process.env.XDG_CACHE_HOME ?? `${homedir()}/.cache`}/xdpctl`;
    expect(run("docker", ["load", "--quiet", "--input", join(cache, "images/host.tar")]).status).toBe(0);
    expect(run("docker", ["tag", "localhost/xdpctl/host", "xdpctl/host"]).status).toBe(0);
    const bin = mkdtempSync(join(tmpdir(), "xdpctl-engine-"));
    symlinkSync(run("which", ["docker"]).stdout.trim(), join(bin, "docker"));
    const only = (...args: string[]) => run(XDPCTL[0], [XDPCTL[1], "lab", ...args], { ...process.env, PATH: bin });
    try {
      expect(only("deploy", write(PAIR))).toMatchObject({ status: 0, stderr: "" });
      expect(node("a").container?.engine).toMatch(/^docker \d/);
      expect(exec("a", "ping", "-c1", "-W2", "b").status).toBe(0);
      run("docker", ["kill", node("a").container?.id ?? ""]);
      // The links move on to the next one.
      expect(only("deploy", FILE).status).toBe(0);
      expect(exec("b", "ping", "-c1", "-W2", "a6").status).toBe(0);
      expect(only("destroy", NAME).status).toBe(0);
      expect(run("docker", ["ps", "-aq", "--filter", `label=xdpctl.lab=${NAME}`]).stdout).toBe("");
    } finally {
      rmSync(bin, { recursive: true });
    }
  });
});

describe("what goes wrong", () => {
  it("is said with a remedy, and leaves nothing", (context) => {
    needs(context, works, "podman and apt-get");
    const failures: [change: string, code: string, text: RegExp][] = [
      ["image: xdpctl/hots }", "XDPCTL_E_NO_IMAGE", /no image `xdpctl\/hots`.*for a[\s\S]*scripts\/build-image hots/],
      ["image: debian }", "XDPCTL_E_NO_IMAGE", /podman pull debian[\s\S]*pull: missing/],
      ["image: xdpctl/host, command: [no-such] }", "XDPCTL_E_ENGINE", /no-such[\s\S]*`command` names what runs there/],
      ["image: xdpctl/host, mounts: [./none:/x] }", "XDPCTL_E_NO_FILE", /nothing to mount at .*none/],
      ["image: xdpctl/host, command: echo oops; exit 3, ready: 'false' }", "XDPCTL_E_NOT_READY", /status 3[\s\S]*oops/],
      [
        "image: xdpctl/host, ready: { command: 'echo no; false', within: 200ms } }",
        "XDPCTL_E_NOT_READY",
        /200 ms[\s\S]*no/,
      ],
      [
        "image: xdpctl/host, ready: { command: [/etc/passwd/x], within: 50ms } }",
        "XDPCTL_E_NOT_READY",
        /can't be started: ENOTDIR/,
      ],
      // It says nothing, and so does the error.
      ["image: xdpctl/host, ready: { command: 'false', within: 50ms } }", "XDPCTL_E_NOT_READY", /\n {2}hint: /],
      ["image: xdpctl/host, command: echo bye; exit 3 }", "XDPCTL_E_NOT_READY", /status 3[\s\S]*bye/],
      ["image: xdpctl/host, env: { PATH: /nowhere } }", "XDPCTL_E_NOT_READY", /ended[\s\S]*sleep: not found/],
    ];
    for (const [change, code, text] of failures) {
      const { stderr } = lab("deploy", write(PAIR.replace("image: xdpctl/host }", change)));
      expect(stderr).toContain(code);
      expect(stderr).toMatch(text);
      expect(
        stderr
          .trimEnd()
          .split("\n")
          .map((line) => line.trim()),
      ).not.toContain("");
      expect(existsSync(`/run/xdpctl/labs/${NAME}`)).toBe(false);
    }
    const node = join(process.execPath, "..");
    const none = run(XDPCTL[0], [XDPCTL[1], "lab", "deploy", write(PAIR)], { ...process.env, PATH: `${node}/none` });
    expect(none.stderr).toContain("XDPCTL_E_NO_ENGINE");
    expect(none.stderr).toContain("apt-get install");
  });

  it("finds what the engine needs by its answers", (context) => {
    needs(context, works, "podman and apt-get");
    // A podman that is asked without options at first, on a machine that needs some, or not.
    const bin = mkdtempSync(join(tmpdir(), "xdpctl-engine-"));
    try {
      writeFileSync(
        join(bin, "podman"),
        `#!/bin/sh
case " $* " in
  *" start "*) case " $* " in *" --cgroup-manager=cgroupfs "*) ;; *) echo "Error: sd-bus call: broken" >&2; exit 125 ;; esac ;;
esac
exec /usr/bin/podman "$@"
`,
        { mode: 0o755 },
      );
      const env = { ...process.env, PATH: `${bin}:${process.env.PATH}` };
      const up = run(XDPCTL[0], [XDPCTL[1], "lab", "deploy", write(PAIR)], env);
      expect(up).toMatchObject({ status: 0, stderr: "" });
      expect(node("a").container?.options).toContain("--cgroup-manager=cgroupfs");
      expect(node("a").container?.engine).toMatch(/^podman \d/);
    } finally {
      rmSync(bin, { recursive: true });
    }
  });

  it("is the same for a program, whose deploy blocks", (context) => {
    needs(context, works, "podman and apt-get");
    const up = (change: string) => deploy(parseLab(PAIR.replace("host }", `host, ${change} }`)));
    const late = { code: "XDPCTL_E_NOT_READY", message: expect.stringContaining("after 300 ms"), lines: [] };
    expect(() => up("ready: { command: sleep 9, within: 300ms }")).toThrow(expect.objectContaining(late));
    expect(() => up("command: exit 4")).toThrow(/ended with status 4/);
    expect(existsSync(`/run/xdpctl/labs/${NAME}`)).toBe(false);
    expect(up("ready: 'true'").state.phase).toBe("ready");
    expect(stateOf()).toBe("ready");
  });

  it.for([
    ["deploy", "SIGINT", 130],
    ["run", "SIGTERM", 143],
  ] as const)("lab %s that waits for `ready`: %s takes the lab down", async ([verb, signal, status], context) => {
    needs(context, works, "podman and apt-get");
    if (!works) return;
    // The signal comes while the command runs, which would go on for long.
    write(PAIR.replace("host }", "host, ready: { command: 'sleep 60', within: 90s } }"));
    const running = new Running([...XDPCTL, "lab", verb, FILE]);
    const isAsked = (): boolean => run("podman", ["top", `${NAME}-a`, "args"]).stdout.includes("sleep 60");
    const deadline = Date.now() + 10_000;
    while (!isAsked() && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 50));
    expect(stateOf()).toBe("busy");
    const start = Date.now();
    running.signal(signal);
    expect(await running.ended()).toMatchObject({ status, stderr: expect.stringContaining("taken down again") });
    expect(Date.now() - start).toBeLessThan(5000);
    expect(existsSync(`/run/xdpctl/labs/${NAME}`)).toBe(false);
    expect(containers()).toBe("");
  });

  it("kill -9 in mid-deploy: gc removes the lab's containers and no others", async (context) => {
    needs(context, works, "podman and apt-get");
    const foreign = podman("create", "--label", "xdpctl.other=1", "--name", `${NAME}-other`, "xdpctl/host");
    const old = podman(
      ...["create", "--label", "xdpctl.lab.id=feed", "--label", "xdpctl.lab=old", "--label", "xdpctl.boot=before"],
      "xdpctl/host",
    );
    try {
      write(PAIR.replace("host }", "host, ready: { command: 'false', within: 30s } }"));
      // Killed as soon as there is a container, which is before it is marked or started.
      const child = spawn(XDPCTL[0], [XDPCTL[1], "lab", "deploy", FILE], { stdio: "ignore" });
      const deadline = Date.now() + 10_000;
      while (containers() === "" && Date.now() < deadline);
      child.kill("SIGKILL");
      await new Promise((resolve) => child.once("exit", resolve));
      const collected = JSON.parse(lab("gc", "--json").stdout) as { removed: { lab: string }[] };
      const removed = collected.removed.map((one) => one.lab);
      expect(removed).toContain("old");
      expect(removed).toContain(NAME);
      expect(containers()).toBe("");
      expect(podman("ps", "-aq", "--no-trunc").split("\n")).toContain(foreign);
      expect(podman("ps", "-aq", "--no-trunc").split("\n")).not.toContain(old);
    } finally {
      podman("rm", "-f", foreign);
    }
  });
});

function mkdirs(): void {
  spawnSync("mkdir", ["-p", join(folder, "files")]);
  writeFileSync(join(folder, "files/file"), "hello\n");
}
