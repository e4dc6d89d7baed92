// SPDX-License-Identifier: MIT
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { once } from "node:events";
import { connect } from "node:net";
import { release, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const XDPCTL = join(import.meta.dirname, "../../bin/xdpctl.cjs");
const KERNEL = "7.2";
let dir: string;

interface Result {
  status: number | null;
  stdout: Buffer;
  stderr: string;
}

function command(...args: string[]): string[] {
  return [XDPCTL, "vm", "run", ...args];
}

function run(args: string[], options: { input?: Buffer; cwd?: string; env?: NodeJS.ProcessEnv } = {}): Result {
  const { status, stdout, stderr } = spawnSync(process.execPath, command(...args), {
    timeout: 120_000,
    maxBuffer: 64 << 20,
    cwd: options.cwd ?? dir,
    input: options.input ?? "",
    env: options.env ?? process.env,
  });
  return { status, stdout, stderr: stderr.toString() };
}

function start(args: string[]): { child: ChildProcess; ended: Promise<number | null>; out: () => string } {
  const child = spawn(process.execPath, command(...args), {
    cwd: dir,
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  let text = "";
  child.stdout?.on("data", (bytes) => {
    text += bytes;
  });
  child.stderr?.on("data", (bytes) => {
    text += bytes;
  });
  const ended = new Promise<number | null>((resolve) => {
    child.once("close", (code) => resolve(code));
  });
  return { child, ended, out: () => text };
}

async function until(condition: () => boolean, what: string, ms = 60_000): Promise<void> {
  const deadline = Date.now() + ms;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** QEMU and virtiofsd of guests that belong to `pid`, by their run directory. */
function guestsOf(pid: number): string[] {
  const found = spawnSync("pgrep", ["-af", `/run/xdpctl/vm/${pid}-`]).stdout.toString();
  return found.split("\n").filter(Boolean);
}

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "xdpctl-vm-run-"));
  // The kernel comes into the cache before anything is timed.
  const fetched = spawnSync(process.execPath, [XDPCTL, "vm", "kernels", "fetch", KERNEL], { encoding: "utf8" });
  expect(fetched.stderr.includes("error"), fetched.stderr).toBe(false);
});

afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe("vm run", () => {
  it("runs on the other kernel, in the same directory, as the same user, with the same environment", () => {
    const script = "uname -r; pwd; id -u; echo $XDPCTL_TEST_WORD; cat here; exit 7";
    writeFileSync(join(dir, "here"), "a file of the host\n");
    const { status, stdout, stderr } = run(["-k", KERNEL, "--", "sh", "-c", script], {
      env: { ...process.env, XDPCTL_TEST_WORD: "two words" },
    });
    expect(stderr).toBe("");
    const [kernel, ...rest] = stdout.toString().trim().split("\n");
    expect(kernel).toMatch(/^7\.2\./);
    expect(kernel).not.toBe(release());
    expect(rest).toEqual([dir, "0", "two words", "a file of the host"]);
    expect(status).toBe(7);
  });

  it("keeps standard output and error apart, byte for byte, and reads standard input to its end", () => {
    const input = randomBytes(3_000_000);
    const sum = createHash("sha256").update(input).digest("hex");
    const { status, stdout, stderr } = run(["-k", KERNEL, "--", "sh", "-c", "tee /dev/stderr"], { input });
    expect(status).toBe(0);
    expect(createHash("sha256").update(stdout).digest("hex")).toBe(sum);
    // The same bytes, as text.
    expect(stderr).toBe(input.toString());
  });

  it("writes only where it may: nothing on the host but --rw", () => {
    const place = (name: string): string => {
      mkdirSync(join(dir, name), { recursive: true });
      return join(dir, name);
    };
    const [real, layer, empty] = [place("real"), place("layer"), place("empty")];
    writeFileSync(join(layer, "old"), "old");
    writeFileSync(join(empty, "seen"), "seen");
    writeFileSync(join(dir, "file"), "not empty");
    const script = [
      `echo new > ${real}/new && echo odd > link/new && echo real`,
      `echo new > ${layer}/old && cat ${layer}/old`,
      `ls ${empty}; echo x > ${empty}/x && echo cleared`,
      `wc -c < ${dir}/file`,
      // A guest that is root tries all it can: its own root, and the share below it.
      "touch /usr/xdpctl-was-here || echo refused",
      "mount -o remount,rw / && touch /usr/xdpctl-was-here && echo layer",
      "mount -t virtiofs root /mnt && touch /mnt/usr/xdpctl-was-here || echo refused",
      "mount -o remount,rw /mnt; touch /mnt/usr/xdpctl-was-here || echo refused",
    ].join("\n");
    const odd = place("a,b c");
    symlinkSync(odd, join(dir, "link"));
    const options = [
      "--rw",
      "link",
      "--rw",
      real,
      "--overlay",
      layer,
      "--clear-dir",
      empty,
      "--clear-file",
      join(dir, "file"),
    ];
    const { stdout, status } = run(["-k", KERNEL, ...options, "--", "sh", "-c", `exec 2>/dev/null\n${script}`]);
    const said = stdout.toString().trim().split("\n");
    expect(said).toEqual(["real", "new", "cleared", "0", "refused", "layer", "refused", "refused"]);
    expect(status).toBe(0);
    expect(readFileSync(join(real, "new"), "utf8")).toBe("new\n");
    expect(readFileSync(join(odd, "new"), "utf8")).toBe("odd\n");
    expect(readFileSync(join(layer, "old"), "utf8")).toBe("old");
    expect(readFileSync(join(dir, "file"), "utf8")).toBe("not empty");
    expect(existsSync(join(empty, "x"))).toBe(false);
    expect(existsSync("/usr/xdpctl-was-here")).toBe(false);
  });

  it("passes only the variables that are named, has a network, and disks", () => {
    const image = join(dir, "disk.img");
    writeFileSync(image, Buffer.concat([Buffer.from("disk label"), Buffer.alloc((1 << 20) - 10)]));
    const script =
      "env | cut -d= -f1 | sort | tr '\\n' ' '; echo; ip -br -4 addr show eth0; head -c 10 /dev/vda; ls /sys/class/misc | grep -x tun";
    const { stdout, status } = run(
      [
        "-k",
        KERNEL,
        "--pass-env",
        "FOO",
        "--net",
        "user",
        "--disk",
        image,
        "--module",
        "tun",
        "--",
        "sh",
        "-c",
        script,
      ],
      { env: { ...process.env, FOO: "1", BAR: "2" } },
    );
    const [names = "", address = "", label = ""] = stdout.toString().split("\n");
    expect(names.split(" ")).toContain("FOO");
    expect(names.split(" ")).toContain("PATH");
    expect(names.split(" ")).not.toContain("BAR");
    expect(address).toMatch(/10\.0\.2\.15\/24/);
    expect(label).toBe("disk labeltun");
    expect(status).toBe(0);
  });

  it("has a status of its own for each way of not running", () => {
    expect(run(["-k", KERNEL, "--", "no-such-command"])).toMatchObject({ status: 127 });
    const panic = run(["-k", KERNEL, "--", "sh", "-c", "echo c > /proc/sysrq-trigger; sleep 10"]);
    expect(panic.status).toBe(120);
    expect(panic.stderr).toMatch(/gave up: Kernel panic - not syncing: sysrq triggered crash .*XDPCTL_E_VM_PANIC/);
    expect(panic.stderr).toMatch(/console: .*/);
    const gone = run(["-k", KERNEL, "--", "sh", "-c", "echo o > /proc/sysrq-trigger; sleep 10"]);
    expect(gone).toMatchObject({ status: 123 });
    expect(gone.stderr).toContain("XDPCTL_E_VM_NO_STATUS");
    const late = run(["-k", KERNEL, "--timeout", "8s", "--", "sleep", "100"]);
    expect(late).toMatchObject({ status: 124 });
    expect(late.stderr).toContain("XDPCTL_E_VM_TIMEOUT");
  });

  it("tells a kernel that hangs at boot from one that gives up, and shows its last words", () => {
    const file = join(dir, "no-kernel");
    writeFileSync(file, "this is no kernel");
    expect(run(["-k", file, "--", "true"])).toMatchObject({ status: 125 });
    // It waits for a root that never comes, and says so.
    const hang = run([
      "-k",
      KERNEL,
      "--kopt",
      "rdinit=/no root=/dev/never rootwait",
      "--boot-timeout",
      "5s",
      "--",
      "true",
    ]);
    expect(hang.status).toBe(121);
    expect(hang.stderr).toContain("XDPCTL_E_VM_HANG");
    expect(hang.stderr).toContain("Waiting for root device");
    const panic = run(["-k", KERNEL, "--kopt", "rdinit=/nothing", "--", "true"]);
    expect(panic.status).toBe(120);
    expect(panic.stderr).toMatch(/Unable to mount root fs|No working init/);
  });

  it("goes on under TCG where no guest comes up under KVM", () => {
    const { status, stdout, stderr } = run(["--accel", "kvm,tcg", "-v", "--", "uname", "-s"]);
    expect({ status, stdout: stdout.toString() }).toEqual({ status: 0, stdout: "Linux\n" });
    expect(stderr).toMatch(/under KVM: asked for, if it works/);
    // Whether this machine's KVM works is not known here; that it says which one was taken is.
    if (/started again/.test(stderr))
      expect(stderr).toMatch(/under TCG: KVM is there, but a guest did not start under it/);
  });

  it("tells a guest that hangs from one that a debugger holds", async () => {
    const words = ["-k", KERNEL, "--gdb", "--boot-timeout", "4s", "--", "sh", "-c", "echo ready; sleep 600"];
    const { child, ended, out } = start(words);
    await until(() => out().includes("ready"), "the command");
    const [, socket = ""] = /target remote (\S+)'/.exec(out()) ?? [];
    const debuggerOf = connect(socket);
    await once(debuggerOf, "connect");
    await new Promise((resolve) => setTimeout(resolve, 8000));
    expect(child.exitCode).toBe(null);
    const [qemu = ""] = guestsOf(child.pid ?? 0).filter((line) => line.includes("qemu-system"));
    process.kill(Number.parseInt(qemu, 10), "SIGSTOP");
    expect(await ended).toBe(121);
    expect(out()).toContain("the guest hangs: nothing was heard of it for 4 s");
    debuggerOf.destroy();
  });

  it("forwards signals, and leaves nothing when it is killed", async () => {
    const script = 'trap "echo got it; exit 9" TERM; echo ready; while :; do sleep 0.1; done';
    const first = start(["-k", KERNEL, "--", "sh", "-c", script]);
    await until(() => first.out().includes("ready"), "the command");
    // As a terminal and timeout(1) do it: to the whole process group.
    process.kill(-(first.child.pid ?? 0), "SIGTERM");
    expect(await first.ended).toBe(9);
    expect(first.out()).toContain("got it");

    const second = start(["-k", KERNEL, "--", "sh", "-c", "echo ready; sleep 100"]);
    await until(() => second.out().includes("ready"), "the command");
    const { pid = 0 } = second.child;
    expect(guestsOf(pid).length).toBeGreaterThan(0);
    second.child.kill("SIGKILL");
    await second.ended;
    await until(() => guestsOf(pid).length === 0, "the end of the guest");

    const third = start(["-k", KERNEL, "--", "true"]);
    await until(() => guestsOf(third.child.pid ?? 0).length > 0, "QEMU");
    third.child.kill("SIGINT");
    expect(await third.ended).toBe(130);
    // Also what the killed one could not take away itself.
    const left = existsSync("/run/xdpctl/vm") ? readdirSync("/run/xdpctl/vm") : [];
    expect(left.filter((name) => name.startsWith(`${pid}-`))).toEqual([]);
  });

  it("ends with its reader, and with its status whatever it left running", () => {
    const shell = (script: string): Result => {
      const line = script.replace("RUN", [process.execPath, ...command("-k", KERNEL, "--")].map(quoted).join(" "));
      const { status, stdout, stderr } = spawnSync("bash", ["-c", line], { cwd: dir, timeout: 60_000 });
      return { status, stdout, stderr: stderr.toString() };
    };
    // As on the host: who writes to a reader that left gets SIGPIPE.
    const left = shell("RUN yes | head -n 1; echo $PIPESTATUS");
    expect(left.stdout.toString()).toBe("y\n141\n");
    expect(shell("RUN head -c 3000000 /dev/zero < /dev/null | { sleep 8; wc -c; }").stdout.toString()).toBe(
      "3000000\n",
    );
    const full = shell("RUN echo hi > /dev/full");
    expect(full.stderr).toContain("ENOSPC");
    expect(shell("RUN sh -c 'yes & exit 3' > /dev/null").status).toBe(3);
    const long = "x".repeat(70_000);
    expect(shell(`export LONG=${long}; umask 077; RUN sh -c 'echo \${#LONG}; umask'`).stdout.toString()).toBe(
      "70000\n0077\n",
    );
  });

  it("says so when virtiofsd dies under it", async () => {
    const { child, ended, out } = start([
      "-k",
      KERNEL,
      "--",
      "sh",
      "-c",
      "echo ready; sleep 1; ls /usr/share; sleep 60",
    ]);
    await until(() => out().includes("ready"), "the command");
    const parents = spawnSync("pgrep", ["-P", String(child.pid), "-f", "virtiofsd"], { encoding: "utf8" }).stdout;
    process.kill(Number(parents.trim()), "SIGKILL");
    expect(await ended).toBe(122);
    expect(out()).toMatch(/virtiofsd.*ended by SIGKILL/);
  });

  it("works for an ordinary user, who writes nothing but --rw", () => {
    const own = join(dir, "own");
    mkdirSync(own);
    // The clone and the kernels may lie where only root gets to: the user sees them elsewhere.
    const script = `
      set -e
      mount -t tmpfs tmpfs /mnt && mkdir /mnt/clone /mnt/cache
      mount --bind "$1" /mnt/clone && mount --bind "$2" /mnt/cache
      chown 65534 "$3" && chmod 755 "$4" && cd "$3"
      exec setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all -- env HOME="$3" XDPCTL_CACHE=/mnt/cache \
        "$5" /mnt/clone/bin/xdpctl.cjs vm run -v -k ${KERNEL} --rw . --net user -- \
        sh -c 'id -u; touch /usr/no; touch yes; ip -br -4 addr show eth0; modprobe -n -v sch_netem'`;
    const cache = JSON.parse(
      spawnSync(process.execPath, [XDPCTL, "vm", "kernels", "--json"], { encoding: "utf8" }).stdout,
    ) as { cache: string };
    const words = ["-m", "sh", "-c", script, "sh", join(XDPCTL, "../.."), cache.cache, own, dir, process.execPath];
    const { status, stdout, stderr } = spawnSync("unshare", words, { encoding: "utf8", timeout: 120_000 });
    expect(stderr).toContain("in a user and a mount namespace of its own");
    expect(stderr).toContain("'/usr/no': Read-only file system");
    expect(stdout).toMatch(/^65534\n.*10\.0\.2\.15.*\ninsmod .*sch_netem/);
    expect(status).toBe(0);
    expect(existsSync(join(own, "yes"))).toBe(true);
  });

  it("takes no option for a variable, and no lab that nobody named", () => {
    const wrong = run(["--pass-env", "--", "true"]);
    expect(wrong).toMatchObject({ status: 2, stderr: expect.stringContaining('not "--"') });
    expect(run(["--net", "lab:no-such-lab/br", "--", "true"]).stderr).toContain("there is no lab no-such-lab");
  });

  it("shows a table for several kernels, and prints QEMU's command line without starting it", () => {
    const matrix = run(["--kernels", `${KERNEL},6.1`, "--", "sh", "-c", "uname -r; test $(uname -r | cut -c1) = 7"]);
    expect(matrix.stdout.toString()).toMatch(/^7\.2\..*\n6\.1\..*\n$/);
    expect(matrix.stderr).toMatch(/7\.2 .*0 .*ok/);
    expect(matrix.stderr).toMatch(/6\.1 .*1 .*failed/);
    expect(matrix.status).toBe(1);
    const json = run(["--kernels", KERNEL, "--json", "--", "sh", "-c", "echo out; echo err >&2"]);
    expect(JSON.parse(json.stdout.toString())).toMatchObject({ kernels: [{ kernel: KERNEL, status: 0 }] });
    expect(json.stderr).toMatch(/out\nerr\n/);
    const dry = run(["-k", KERNEL, "--dry-run", "--net", "user,zerocopy", "--", "true"]);
    expect(dry.stdout.toString()).toMatch(/ virtio-net-pci,netdev=net0,\S*,iommu_platform=on,disable-legacy=on /);
    expect(dry.stdout.toString()).toMatch(/^\S*qemu-system-\S+ -nodefaults .*-append '.*console=ttyS0.*'\n$/);
  });

  it("gives a terminal where there is one", () => {
    const line = [
      process.execPath,
      ...command("-k", KERNEL, "--", "sh", "-c", "test -t 0 && test -t 1 && tty; stty size"),
    ];
    const { stdout } = spawnSync(
      "script",
      ["-qec", `stty rows 33 cols 77; ${line.map(quoted).join(" ")}`, "/dev/null"],
      {
        cwd: dir,
        encoding: "utf8",
        timeout: 60_000,
        input: "",
      },
    );
    expect(stdout).toContain("/dev/pts/0");
    expect(stdout).toContain("33 77");
  });
});

function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
