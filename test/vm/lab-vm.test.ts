// SPDX-License-Identifier: MIT
import { type SpawnSyncOptionsWithStringEncoding, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bringUp, destroy, parseLab } from "../../src/lab/index.js";
import { hasTool, isRoot } from "../fixtures/needs.js";
import { Running, XDPCTL } from "../fixtures/xdpctl.js";

const NAME = `vm${process.pid}`;
const RUN = `/run/xdpctl/labs/${NAME}/nodes/xdp`;
const folder = mkdtempSync(join(tmpdir(), "xdpctl-lab-vm-"));
const FILE = join(folder, "xdp.lab.yml");
const TEXT = readFileSync("labs/xdp-vm.lab.yml", "utf8").replace(/^name: .*/m, `name: ${NAME}`);
afterAll(() => rmSync(folder, { recursive: true }));

function lab(args: readonly string[], options: Partial<SpawnSyncOptionsWithStringEncoding> = {}) {
  const [command, ...first] = XDPCTL;
  const result = spawnSync(command, [...first, "lab", ...args], { encoding: "utf8", timeout: 120_000, ...options });
  return { status: result.status, signal: result.signal, stdout: result.stdout, stderr: result.stderr };
}
const execArgs = (node: string, ...argv: string[]) => ["exec", "--lab", NAME, node, "--", ...argv];
const exec = (node: string, ...argv: string[]) => lab(execArgs(node, ...argv));
const ping = (...options: string[]) => exec("client", "ping", "-n", "-c", "1", ...options, "server").status;

interface Inspected {
  nodes: {
    name: string;
    state: string;
    routes: string[];
    interfaces: { name: string; addresses: string[]; peer: string; mtu: number; xdp: { mode: string } | null }[];
    vm?: { kernel: string; phase: string; error?: string; lines?: string[] };
  }[];
}
function inspected() {
  const { nodes } = JSON.parse(lab(["inspect", NAME, "--json"]).stdout) as Inspected;
  return nodes.find((node) => node.name === "xdp");
}

/** Command lines of the processes of this lab's guests. */
function guests(): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
      } catch {
        return "";
      }
    })
    .filter((line) => line.includes(`labs/${NAME}/nodes`));
}

async function until(what: string, condition: () => boolean, ms = 10_000): Promise<void> {
  for (const deadline = Date.now() + ms; !condition(); ) {
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

describe.skipIf(!isRoot || !hasTool("qemu-system-x86_64"))("a lab with a guest", () => {
  let host = "";
  beforeAll(() => {
    host = spawnSync("uname", ["-r"], { encoding: "utf8" }).stdout;
    writeFileSync(FILE, TEXT);
    const built = spawnSync(join(process.cwd(), "scripts/build-kmod"), ["--kernel", "7.2", "--quiet", "genl-echo"], {
      encoding: "utf8",
    });
    expect(built.status, built.stderr).toBe(0);
    expect(lab(["deploy", FILE])).toMatchObject({ status: 0, stderr: "" });
  });
  afterAll(() => {
    expect(lab(["destroy", NAME])).toMatchObject({ status: 0, stdout: `lab ${NAME}: down\n` });
    expect(existsSync(`/run/xdpctl/labs/${NAME}`)).toBe(false);
    expect(guests()).toEqual([]);
  });

  it("may ask for lab commands: with its input and output, status, and for its own lab only", () => {
    const script = [
      "seq 20000 | xdpctl lab exec client -- cksum; xdpctl lab exec client -- sh -c 'echo no >&2; exit 7'; echo $?",
      `xdpctl lab destroy ${NAME}; echo $?`,
      // What no client of ours writes does nobody any harm.
      "port=$(for p in /sys/class/virtio-ports/*; do grep -qs xdpctl.lab $p/name && basename $p; done)",
      'printf \'{"id":"a","run":["ls","a\\\\u0000b"],"cwd":"/"}\\n{"id":"b","run":["ls"],"cwd":"/etc/passwd"}\\nnull\\n{"id"\' >/dev/$port',
      "bash -c 'xdpctl lab exec client -- yes | head -n 1; echo $PIPESTATUS'",
      "xdpctl lab exec -l nobody client -- true; echo $?",
    ].join("; ");
    const { stdout, stderr } = exec("xdp", "sh", "-c", script);
    const sum = spawnSync("sh", ["-c", "seq 20000 | cksum"], { encoding: "utf8" }).stdout;
    expect(stdout).toBe(`${sum}7\n2\ny\n141\n5\n`);
    expect(stderr).toMatch(/^no\nerror: `lab destroy` is not for guests/);
    const repl = lab(execArgs("xdp", "xdpctl", "repl"), { input: "lab exec client -- echo from the host\n" });
    expect(repl).toMatchObject({ status: 0, stdout: "from the host\n" });
  });

  it("is a machine of the lab: names, addresses, routes, masquerading, another kernel", () => {
    expect(ping("-W", "5")).toBe(0);
    // Nobody out there knows the way to the LAN: this comes back only when both routers masquerade.
    expect(exec("client", "ping", "-n", "-c", "1", "-W", "5", "internet").status).toBe(0);
    expect(exec("client", "ping", "-6", "-n", "-c", "1", "-W", "5", "server6").status).toBe(0);
    const said = exec("xdp", "sh", "-c", "uname -r; hostname; ping -n -c 1 -W 5 client >/dev/null && echo answered");
    expect(said.stdout).not.toContain(host);
    expect(said.stdout).toMatch(/\nxdp\nanswered\n$/);
    expect(inspected()).toMatchObject({
      state: "ready",
      vm: { phase: "ready", kernel: said.stdout.split("\n")[0] },
      routes: ["default via 192.168.6.1 dev eth0", "default via fd00:6::1 dev eth0"],
      interfaces: [
        { name: "eth1", peer: "br-lan", mtu: 1500, addresses: ["192.168.5.1/24", "fd00:5::1/64"] },
        { name: "eth0", peer: "br-wan", mtu: 1500, addresses: ["192.168.6.100/24", "fd00:6::100/64"] },
      ],
    });
  });

  it("runs commands as if they were here: streams, arguments, statuses, signals", () => {
    expect(exec("xdp", "sh", "-c", "echo out; echo err >&2; exit 42")).toEqual({
      status: 42,
      signal: null,
      stdout: "out\n",
      stderr: "err\n",
    });
    expect(exec("xdp", "printf", "%s|", "a b", "", "$x", "'\"\n", "--json").stdout).toBe("a b||$x|'\"\n|--json|");
    expect(exec("xdp", "sh", "-c", "kill -KILL $$")).toMatchObject({ status: null, signal: "SIGKILL" });
    expect(exec("xdp", "sh", "-c", "kill -TERM $$")).toMatchObject({ status: null, signal: "SIGTERM" });
    expect(exec("xdp", "no-such-command")).toMatchObject({ status: exec("client", "no-such-command").status });
    expect(exec("xdp", "pwd").stdout).toBe(`${process.cwd()}\n`);
    const data = randomBytes(1 << 20).toString("base64");
    const through = lab(execArgs("xdp", "cat"), { input: data, maxBuffer: 1 << 24 });
    expect(through.stdout === data).toBe(true);
  });

  it("runs several at once, and ends what nobody waits for any more", async () => {
    const line = (...argv: string[]) => new Running([...XDPCTL, "lab", ...execArgs("xdp", ...argv)]);
    const slow = line("sh", "-c", "trap 'echo heard; exit 5' TERM; echo up; while :; do sleep 0.05; done");
    await slow.sees("up");
    const left = line("sh", "-c", "echo up; exec sleep 4321");
    await left.sees("up");
    expect(exec("xdp", "echo", "third").stdout).toBe("third\n");
    left.signal("SIGKILL");
    await left.ended();
    slow.signal("SIGTERM");
    expect(await slow.ended()).toMatchObject({ status: 5, stdout: "up\nheard\n" });
    await until("the end of sleep", () => exec("xdp", "pgrep", "-f", "^sleep 4321").status === 1);
  });

  it("drops and passes in its own kernel, natively", () => {
    expect(exec("xdp", "xdpctl", "load", "drop", "eth1")).toMatchObject({ status: 0, stderr: "" });
    expect(inspected()?.interfaces[0]).toMatchObject({ name: "eth1", xdp: { mode: "native" } });
    expect(ping("-W", "1")).toBe(1);
    expect(exec("xdp", "xdpctl", "load", "pass", "eth1").status).toBe(0);
    expect(ping("-W", "5")).toBe(0);
    // Fewer queues than processors ask for is what the driver complains of.
    expect(readFileSync(join(RUN, "dmesg.log"), "utf8")).not.toContain("XDP request");
    expect(exec("xdp", "xdpctl", "unload", "eth1").status).toBe(0);
  });

  it("runs Lua by way of its kernel, and what that attaches goes with the REPL", async () => {
    const repl = new Running([...XDPCTL, "lab", ...execArgs("xdp", "xdpctl", "repl")]);
    const line = async (text: string, answer: string): Promise<void> => {
      repl.write(`${text}\n`);
      await repl.sees(answer);
    };
    await line("via ECHO", "Lua goes through ECHO");
    await line('print("lua " .. 6 * 7)', "lua 42");
    await line("load drop eth1", "eth1  drop  native");
    expect(ping("-W", "1")).toBe(1);
    await line("load pass eth1", "eth1  pass  native");
    expect(ping("-W", "5")).toBe(0);
    repl.write("exit\n");
    expect(await repl.ended()).toMatchObject({ status: 0 });
    expect(inspected()?.interfaces[0]?.xdp).toBe(null);
  });

  it("has links that go down, lose their carrier and are impaired, and tells of them", async () => {
    const flags = (node: string) => exec(node, "ip", "-br", "link", "show", "eth0").stdout;
    const events = new Running([...XDPCTL, "lab", "events", NAME, "--json"]);
    await until("the watchers", () => events.stderr.includes("watching"), 20_000);
    const link = (...args: string[]) => lab(["link", ...args, "--lab", NAME]).stdout;
    expect(link("down", "br-wan:xdp.eth0")).toBe("br-wan:xdp.eth0 down; xdp:eth0 up, no carrier\n");
    expect(flags("xdp")).toContain("<NO-CARRIER,");
    expect(link("up", "br-wan:xdp.eth0")).toBe("br-wan:xdp.eth0 up; xdp:eth0 up\n");
    expect(link("down", "xdp:eth0")).toBe("xdp:eth0 down; br-wan:xdp.eth0 up, no carrier\n");
    expect(flags("xdp")).not.toMatch(/[<,]UP/);
    expect(link("up", "xdp:eth0")).toBe("xdp:eth0 up; br-wan:xdp.eth0 up\n");
    expect(flags("xdp")).toContain("UP,LOWER_UP");
    expect(exec("client", "ping", "-6", "-n", "-c", "1", "-W", "5", "server6").status).toBe(0);
    expect(exec("xdp", "xdpctl", "load", "pass", "eth1").status).toBe(0);
    await events.sees('"type":"xdp"');
    events.signal("SIGINT");
    const told = (await events.ended()).stdout.trim().split("\n");
    const ofGuest = told
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .filter(({ machine }) => machine === "xdp")
      // The driver may find its carrier only after it was set up.
      .filter(({ up, carrier }, i) => i < 2 || up !== true || carrier === true);
    expect(ofGuest).toMatchObject([
      { type: "link", interface: "eth0", up: true, carrier: false },
      { type: "link", interface: "eth0", up: true, carrier: true },
      { type: "link", interface: "eth0", up: false },
      { type: "link", interface: "eth0", up: true, carrier: true },
      { type: "xdp", interface: "eth1", action: "attach", program: "pass" },
    ]);
    const impair = (...args: string[]) => {
      const { stdout } = lab(["impair", "--lab", NAME, "--json", ...args]);
      return (JSON.parse(stdout) as { ends: Record<string, unknown>[] }).ends[0];
    };
    // This kernel may have no netem; the guest's has.
    const set = impair("xdp:eth0", "delay=300ms", "loss=0.5%", "rate=10mbit");
    expect(set).toMatchObject({ state: "on", delay: 300_000, loss: 0.5, rate: 10_000_000 });
    expect(ping("-W", "5")).toBe(0);
    expect(impair("xdp:eth0")).toMatchObject({ sent: { packets: expect.any(Number) as number }, state: "on" });
    expect(impair("xdp:eth0", "reset")).toMatchObject({ state: "none" });
  });

  it("stays as it is when it is deployed again, and tells how it died", async () => {
    const states = () => {
      const { stdout } = lab(["deploy", FILE, "--json"]);
      return (JSON.parse(stdout) as { nodes: { state: string }[] }).nodes.map((node) => node.state);
    };
    expect(states()).toEqual(["kept", "kept", "kept", "kept"]);
    exec("xdp", "sh", "-c", "ip link set eth0 down; ip link set eth0 up; ip link set eth1 mtu 1300");
    expect(states()).toEqual(["kept", "mended", "kept", "kept"]);
    expect(inspected()).toMatchObject({
      routes: ["default via 192.168.6.1 dev eth0", "default via fd00:6::1 dev eth0"],
      interfaces: [{ mtu: 1500 }, { name: "eth0", addresses: ["192.168.6.100/24", "fd00:6::100/64"] }],
    });
    const crash = exec("xdp", "sh", "-c", "echo 1 > /proc/sys/kernel/sysrq; echo c > /proc/sysrq-trigger");
    expect(crash.status).toBe(120);
    expect(crash.stderr).toContain("Kernel panic - not syncing: sysrq triggered crash");
    expect(inspected()).toMatchObject({ state: "down", vm: { phase: "ended" } });
    expect(inspected()?.vm?.lines?.join("\n")).toContain("Kernel Offset");
    const after = exec("xdp", "true");
    expect(after.stderr).toMatch(/machine xdp .* is down: the guest's kernel gave up/);
    expect(after.status).toBe(120);
    expect(readFileSync(join(RUN, "console.log"), "utf8")).toContain("sysrq triggered crash");
    expect(states()).toEqual(["kept", "created", "kept", "kept"]);
    expect(ping("-W", "5")).toBe(0);
    expect(inspected()?.interfaces[0]?.xdp).toBe(null);
  });
});

describe.skipIf(!isRoot || !hasTool("qemu-system-x86_64"))("a guest that is on its way", () => {
  it("is gone after kill -9 of its deploy and gc, or Ctrl-C", async () => {
    writeFileSync(FILE, TEXT);
    const deploying = () => new Running([...XDPCTL, "lab", "deploy", FILE]);
    const killed = deploying();
    await until("QEMU", () => guests().some((line) => line.includes("qemu-system")));
    killed.signal("SIGKILL");
    await killed.ended();
    expect(lab(["gc"]).stdout).toBe(`lab ${NAME}: removed (its deploy was not finished)\n`);
    expect(guests()).toEqual([]);
    const interrupted = deploying();
    await until("QEMU", () => guests().some((line) => line.includes("qemu-system")));
    interrupted.signal("SIGINT");
    expect((await interrupted.ended()).status).not.toBe(0);
    expect(guests()).toEqual([]);
    expect(existsSync(`/run/xdpctl/labs/${NAME}`)).toBe(false);
  });

  it("leaves what it wrote in a test's bundle, also when it panics", () => {
    const path = join(folder, "panics.lab.yml");
    const check = "panics: { exec: [sh, -c, 'echo c > /proc/sysrq-trigger'], on: a }";
    writeFileSync(path, `name: ${NAME}\nnodes: { a: { kind: vm } }\nchecks: { ${check} }\n`);
    const bundle = join(folder, "bundle");
    expect(lab(["test", path, "--bundle", bundle]).stdout).toContain("on a ended with 120");
    expect(readdirSync(join(bundle, "guests/a")).sort()).toEqual([
      "console.log",
      "dmesg.log",
      "qemu.log",
      "supervisor.log",
    ]);
    expect(readFileSync(join(bundle, "guests/a/console.log"), "utf8")).toContain("sysrq triggered crash");
  });

  it("says what is wrong with it, and leaves nothing", async () => {
    const one = (settings: string) => parseLab(`name: ${NAME}\nnodes: { a: { kind: vm, ${settings} } }\n`);
    await expect(bringUp(one("kernel: ./nothing"))).rejects.toMatchObject({ code: "XDPCTL_E_NO_FILE" });
    await expect(bringUp(one("modules: [nothing]"))).rejects.toMatchObject({ code: "XDPCTL_E_NO_MODULE" });
    expect(guests()).toEqual([]);
    expect(() => destroy(NAME)).toThrow(/there is no lab/);
  });
});
