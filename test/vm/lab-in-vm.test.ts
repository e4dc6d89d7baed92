// SPDX-License-Identifier: MIT
import { type SpawnSyncOptionsWithStringEncoding, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { hasTool, isRoot } from "../fixtures/needs.js";
import { Running, XDPCTL } from "../fixtures/xdpctl.js";

const NAME = `iv${process.pid}`;
const RUN = `/run/xdpctl/guest-labs/${NAME}`;
const folder = mkdtempSync(join(tmpdir(), "xdpctl-in-vm-"));
const FILE = join(folder, "pair.lab.yml");
const PAIR = `name: ${NAME}\nnodes: { left: , right: }\nlinks: [ "left:eth0 -- right:eth0" ]\n`;
writeFileSync(FILE, PAIR);
afterAll(() => rmSync(folder, { recursive: true }));

function lab(args: readonly string[], options: Partial<SpawnSyncOptionsWithStringEncoding> = {}) {
  const [command, ...first] = XDPCTL;
  const result = spawnSync(command, [...first, "lab", ...args], { encoding: "utf8", timeout: 120_000, ...options });
  return { status: result.status, signal: result.signal, stdout: result.stdout, stderr: result.stderr };
}
const DEPLOY = ["deploy", FILE, "--in-vm"];
const exec = (node: string, ...argv: string[]) => lab(["exec", "--lab", NAME, node, "--", ...argv]);

interface Deployed {
  nodes: { name: string; state: string }[];
  guest: { kernel: string; accelerator: string; kept: boolean };
}
const deployed = (...more: string[]) => JSON.parse(lab([...DEPLOY, "--json", ...more]).stdout) as Deployed;

interface Inspected {
  nodes: { name: string; state: string; interfaces: { addresses: string[]; peer: string }[] }[];
  guest: { phase: string; error?: string; splats: string[] };
}
const inspected = () => JSON.parse(lab(["inspect", NAME, "--json"]).stdout) as Inspected;

interface Listed {
  labs: { name: string; state: string; kernel: string | null }[];
}
function listed() {
  const { labs } = JSON.parse(lab(["ls", "--json"]).stdout) as Listed;
  return labs.find((one) => one.name === NAME);
}

/** Processes that have the directory of this lab in their command lines: number, and line. */
function processes(): [pid: number, line: string][] {
  return readdirSync("/proc").flatMap((pid): [number, string][] => {
    if (!/^\d+$/.test(pid)) return [];
    try {
      const line = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
      return line.includes(`guest-labs/${NAME}/`) ? [[Number(pid), line]] : [];
    } catch {
      return [];
    }
  });
}
const running = (what: string) => processes().find(([, line]) => line.includes(what))?.[0];

async function until(what: string, condition: () => boolean, ms = 30_000): Promise<void> {
  for (const deadline = Date.now() + ms; !condition(); ) {
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await new Promise((done) => setTimeout(done, 20));
  }
}

describe.skipIf(!isRoot || !hasTool("qemu-system-x86_64"))("a lab in a guest", () => {
  afterAll(() => {
    if (existsSync(RUN)) lab(["destroy", NAME]);
    expect(processes()).toEqual([]);
  });

  it("is deployed on another kernel, without a namespace of the host's", () => {
    const { nodes, guest } = deployed();
    expect(nodes.map(({ name, state }) => `${name} ${state}`)).toEqual(["left created", "right created"]);
    expect(guest).toMatchObject({ kernel: expect.stringMatching(/^7\.2\./), kept: false });
    expect(listed()).toMatchObject({ state: "ready", kernel: guest.kernel });
    expect(existsSync(`/run/xdpctl/labs/${NAME}`)).toBe(false);
    expect(existsSync(`/run/netns/${NAME}-left`)).toBe(false);
  });

  it("runs commands in its machines as if they were here", () => {
    expect(exec("left", "ping", "-n", "-c", "1", "-W", "5", "right").status).toBe(0);
    expect(exec("right", "sh", "-c", "uname -r; hostname; echo err >&2; exit 42")).toEqual({
      status: 42,
      signal: null,
      stdout: expect.stringMatching(/^7\.2\..*\nright\n$/),
      stderr: "err\n",
    });
    expect(exec("left", "sh", "-c", "kill -TERM $$")).toMatchObject({ status: null, signal: "SIGTERM" });
    expect(exec("left", "no-such-command").stderr).toContain("XDPCTL_E_NO_FILE");
    expect(exec("lfet", "true").stderr).toContain("did you mean left?");
    expect(exec("left", "pwd").stdout).toBe(`${process.cwd()}\n`);
    expect(lab(["exec", "--lab", NAME, "left", "pwd"], { cwd: "/run" }).stdout).toBe("/\n");
    const data = randomBytes(1 << 19).toString("base64");
    const through = lab(["exec", "--lab", NAME, "left", "cat"], { input: data, maxBuffer: 1 << 24 });
    expect(through.stdout === data).toBe(true);
    expect(lab(["shell", "--lab", NAME, "right"], { input: "hostname; exit 3\n" })).toMatchObject({
      status: 3,
      stdout: "right\n",
    });
    const [command, ...first] = XDPCTL;
    const line = [command, ...first, "lab", "exec", "--lab", NAME, "left", "sh", "-c", "'tty; stty size'"].join(" ");
    const typed = spawnSync("script", ["-qec", `stty rows 33 cols 77; ${line}`, "/dev/null"], { encoding: "utf8" });
    expect(typed.stdout).toMatch(/\/dev\/pts\/\d+\s+33 77/);
  });

  it("has the other verbs where it is: links, impairments, packets, programs, the REPL's own machine", async () => {
    expect(lab(["link", "down", "left:eth0", "--lab", NAME]).stdout).toMatch(/^left:eth0 down; /);
    expect(exec("right", "cat", "/sys/class/net/eth0/carrier").stdout).toBe("0\n");
    expect(lab(["link", "up", "left:eth0", "--lab", NAME]).status).toBe(0);
    // This machine's kernel has no netem, that one has.
    expect(lab(["impair", "--lab", NAME, "left:eth0", "delay=20ms"]).stdout).toContain("20ms");
    const file = join(folder, "right.pcapng");
    const capture = new Running([
      ...XDPCTL,
      "lab",
      "capture",
      "right:eth0",
      "-l",
      NAME,
      "-w",
      file,
      "-n",
      "2",
      "--json",
    ]);
    await until("the capture", () => capture.stderr.includes("capturing at right:eth0"));
    const [, delay = ""] = /time=([\d.]+)/.exec(exec("left", "ping", "-n", "-c", "1", "right").stdout) ?? [];
    expect(Number(delay)).toBeGreaterThan(20);
    expect(JSON.parse((await capture.ended()).stdout)).toEqual({
      lab: NAME,
      at: "right:eth0",
      file,
      packets: 2,
      lost: 0,
    });
    expect(readFileSync(file).readUInt32LE(0)).toBe(0x0a0d0d0a);
    // From inside of a machine, `lab` is about the lab that it is of.
    const inside = exec("left", "xdpctl", "lab", "inspect", "--json");
    expect((JSON.parse(inside.stdout) as Inspected).nodes.map((node) => node.name)).toEqual(["left", "right"]);
    const [left] = inspected().nodes;
    expect(left?.interfaces[0]).toMatchObject({ addresses: ["10.0.1.1/24", "fd00:0:1::1/64"], peer: "right:eth0" });
    expect(lab(["gdb", "--lab", NAME]).stdout).toContain(`target remote ${RUN}/s/gdbserver`);
    expect(lab(["console", "--lab", NAME, "left"]).stderr).toContain("is a namespace in the guest");
    expect(lab(["console", "--lab", NAME], { input: "uname -n\n" }).stdout).toContain(`${NAME}-guest`);
  });

  it("stays as it is when it is deployed again, changes with its file, and is nobody else's name", () => {
    writeFileSync(FILE, `${PAIR}# another\n`.replace("right: }", "right: , third: }"));
    const { nodes, guest } = deployed();
    expect(nodes.map(({ name, state }) => `${name} ${state}`)).toEqual(["left kept", "right kept", "third created"]);
    expect(guest.kept).toBe(true);
    expect(lab(["deploy", FILE]).stderr).toMatch(/there is a lab .* in a guest +XDPCTL_E_LAB_CONFLICT/);
    writeFileSync(FILE, PAIR);
  });

  it("tells how its guest died, and is made anew, on the kernel that is asked for", () => {
    const crash = exec("left", "sh", "-c", "echo 1 > /proc/sys/kernel/sysrq; echo c > /proc/sysrq-trigger");
    expect(crash.status).toBe(120);
    expect(crash.stderr).toContain("Kernel panic - not syncing: sysrq triggered crash");
    expect(listed()?.state).toBe("down");
    const { nodes, guest } = inspected();
    expect(nodes.map(({ state }) => state)).toEqual(["down", "down", "down"]);
    expect(guest).toMatchObject({ phase: "ended", error: expect.stringContaining("sysrq triggered crash") });
    expect(guest.splats).toContain("Kernel panic - not syncing: sysrq triggered crash");
    expect(exec("left", "true").stderr).toMatch(/is down: the guest's kernel gave up/);
    const anew = lab([...DEPLOY, "--kernel", "6.1"]);
    expect(anew.stderr).toContain("started anew: its guest was gone");
    expect(anew.stdout).toMatch(/^guest {2}Linux 6\.1\.\S+ {2}(tcg|kvm): /m);
  });

  it("leaves nothing when its supervisor is killed, its deploy is, or Ctrl-C ends that", async () => {
    process.kill(running("supervise-lab") as number, "SIGKILL");
    await until("the end of QEMU", () => processes().length === 0);
    expect(listed()).toMatchObject({ state: "down", fault: "its guest is gone, and its supervisor with it" });
    expect(lab(["inspect", NAME]).stdout).toContain("console: ");
    expect(exec("left", "true").status).toBe(122);
    expect(lab(["gc"]).stdout).toContain(`lab ${NAME}: removed (its guest is gone)\n`);
    expect(existsSync(RUN)).toBe(false);
    const deploying = () => new Running([...XDPCTL, "lab", ...DEPLOY]);
    const killed = deploying();
    await until("QEMU", () => running("qemu-system") !== undefined);
    killed.signal("SIGKILL");
    await killed.ended();
    expect(listed()?.state).toBe("unfinished");
    expect(lab(["gc"]).stdout).toContain(`lab ${NAME}: removed (its deploy was not finished)\n`);
    expect(processes()).toEqual([]);
    const interrupted = deploying();
    await until("QEMU", () => running("qemu-system") !== undefined);
    expect(lab(DEPLOY).stderr).toContain("XDPCTL_E_LAB_CONFLICT");
    interrupted.signal("SIGINT");
    expect(await interrupted.ended()).toMatchObject({ status: 130, stderr: expect.stringContaining("interrupted") });
    expect(processes()).toEqual([]);
    expect(existsSync(RUN)).toBe(false);
  });

  it("works for an ordinary user", () => {
    const own = mkdtempSync(join(tmpdir(), "xdpctl-in-vm-user-"));
    chownSync(own, 65534, 65534);
    // The clone and the kernels may lie where only root gets to: the user sees them elsewhere.
    const script = `
      set -e
      mount -t tmpfs tmpfs /mnt && mkdir /mnt/clone /mnt/cache
      mount --bind "$1" /mnt/clone && mount --bind "$2" /mnt/cache && cd "$3"
      exec setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all -- \
        env HOME="$3" XDG_RUNTIME_DIR="$3" XDPCTL_CACHE=/mnt/cache NODE="$4" LAB=${NAME} sh -c '
          x() { "$NODE" /mnt/clone/bin/xdpctl.cjs lab "$@"; }
          x deploy /mnt/clone/labs/pair.lab.yml --in-vm --name $LAB && x exec --lab $LAB left -- ping -n -c 1 -W 5 right
          x exec --lab $LAB right sh -c "id -u; echo > /usr/no"; x impair --lab $LAB left:eth0 delay=20ms >&2; x inspect $LAB --json; x destroy $LAB; ls -A'`;
    const { cache } = JSON.parse(
      spawnSync(XDPCTL[0], [XDPCTL[1], "vm", "kernels", "--json"], { encoding: "utf8" }).stdout,
    ) as { cache: string };
    const words = ["-m", "sh", "-c", script, "sh", resolve(import.meta.dirname, "../.."), cache, own, process.execPath];
    const { stdout, stderr } = spawnSync("unshare", words, { encoding: "utf8", timeout: 120_000 });
    rmSync(own, { recursive: true });
    expect(stdout).toContain(`lab ${NAME}: 2 machines in a guest`);
    expect(stdout).toMatch(/1 packets transmitted, 1 received[\s\S]*\n0\n\{"name":/);
    expect(stderr).toContain("Read-only file system");
    // The kernel loads its module by itself.
    expect(stderr).toMatch(/left:eth0 .* 20ms/);
    // Nothing is left, not even the directory for labs.
    expect(stdout.trimEnd()).toMatch(new RegExp(`lab ${NAME}: down$`));
  });
});

describe("what no guest can have in it", () => {
  it("is refused before anything is booted", () => {
    const other = (kind: string) => {
      const path = join(folder, `${kind}.lab.yml`);
      writeFileSync(path, `name: ${NAME}\nnodes: { a: { kind: ${kind}${kind === "vm" ? "" : ", image: x"} } }\n`);
      return lab(["deploy", path, "--in-vm"]).stderr;
    };
    expect(other("vm")).toMatch(/only labs of namespaces can be deployed in a guest +XDPCTL_E_USAGE/);
    expect(other("container")).toContain("have it deployed on the host");
    expect(lab(["deploy", FILE, "--kernel", "6.1"]).stderr).toContain("--kernel is of a guest");
    expect(lab([...DEPLOY, "--kernel", "./nothing"]).stderr).toContain("XDPCTL_E_NO_FILE");
    expect(existsSync(RUN)).toBe(false);
  });
});
