// SPDX-License-Identifier: MIT
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { attach } from "../../src/xdp/index.js";
import { BpfObject, type BpfProgram } from "../../src/bpf/index.js";
import { compileBpf } from "../fixtures/compile.js";
import { TestPair } from "../fixtures/netns.js";
import { type Ended, Running, xdpctl } from "../fixtures/xdpctl.js";

const folder = mkdtempSync(join(tmpdir(), "xdpctl-capture-"));
const FOREIGN = join(folder, "firewall.bpf.o");
let pair: TestPair;
const running: Running[] = [];

/** A firewall of somebody else: it drops pings of 98 bytes. */
const source = (section: string): string => `
SEC("${section}") int firewall(struct xdp_md *ctx) { return ctx->data_end - ctx->data == 98 ? XDP_DROP : XDP_PASS; }
`;

beforeAll(() => writeFileSync(FOREIGN, compileBpf(source("xdp"))));
afterAll(() => rmSync(folder, { recursive: true }));
beforeEach(() => {
  pair = new TestPair();
});
afterEach(async () => {
  for (const one of running.splice(0)) await one.close();
  pair.close();
});

/** `xdpctl capture eth0 ARGS`, once it captures. */
async function started(...args: string[]): Promise<Running> {
  const one = Running.xdpctl(pair.left, "capture", "eth0", ...args);
  running.push(one);
  const deadline = Date.now() + 10_000;
  while (!one.stderr.includes("capturing on")) {
    if (Date.now() > deadline || one.child.exitCode !== null) throw new Error(`no start: ${one.stderr}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return one;
}

const ping = (count = 1, ...args: string[]): number => {
  const { stdout } = pair.right.exec([
    "ping",
    "-n",
    "-q",
    "-c",
    `${count}`,
    "-i",
    "0.02",
    "-W",
    "0.3",
    ...args,
    pair.leftAddress,
  ]);
  return Number(/(\d+) received/.exec(stdout)?.[1]);
};
const attached = (): string =>
  /prog\/xdp id (\d+) name (\S+)/.exec(pair.left.must("ip", "link", "show", "eth0"))?.[2] ?? "";

function tshark(file: string, ...fields: string[]): string[][] {
  const argv = ["-r", file, "-T", "fields", ...fields.flatMap((field) => ["-e", field])];
  const { status, stdout, stderr } = spawnSync("tshark", argv, { encoding: "utf8" });
  if (status !== 0) throw new Error(stderr);
  return stdout
    .trimEnd()
    .split("\n")
    .map((line) => line.split("\t"));
}

describe("programs of ours", () => {
  it("are captured where they are, with verdict and reason, without a restart", async () => {
    xdpctl(pair.left, ["load", "guard", "eth0"]);
    const before = attached();
    const text = await started("-f", "icmp", "-c", "2");
    expect(ping()).toBe(1);
    xdpctl(pair.left, ["deny", pair.rightAddress]);
    expect(ping()).toBe(0);
    const { status, stdout, stderr } = await text.ended();
    expect(stdout.split("\n")[0]).toMatch(
      /^\d\d:\d\d:\d\d\.\d{6} {2}eth0:0 {2}PASS {2}10\.77\.1\.2 → 10\.77\.1\.1 {2}icmp echo request, id \d+ seq 1, 64 bytes$/,
    );
    expect(stdout.split("\n")[1]).toMatch(/ {2}DROP \(deny-addr\) {2}10\.77\.1\.2 → 10\.77\.1\.1 {2}icmp echo request/);
    expect(stderr).toMatch(
      /^capturing on eth0: guard \(id \d+\) \(native\); the filter runs in the kernel\n2 frames of \d+, 0 lost\n$/,
    );
    expect(status).toBe(0);
    expect(attached()).toBe(before);

    const json = await started("-f", "icmp", "-c", "1", "--json");
    ping();
    expect(JSON.parse((await json.ended()).stdout)).toMatchObject({
      ...{ type: "frame", interface: "eth0", queue: 0, verdict: "DROP", reason: "deny-addr", length: 98 },
      ...{ time: expect.stringMatching(/^\d{4}-.*\.\d{9}Z$/), hex: expect.stringMatching(/^[0-9a-f]{196}$/) },
    });
    xdpctl(pair.left, ["unload", "eth0"]);
  });

  it("write pcapng that tshark reads: interface, queue, direction, verdict, reason, time, losses", async () => {
    xdpctl(pair.left, ["load", "guard", "eth0"]);
    xdpctl(pair.left, ["deny", pair.rightAddress]);
    const file = join(folder, "guard.pcapng");
    const capture = await started("-w", file, "-f", "icmp or icmp6", "--snaplen", "60", "-c", "3", "--json");
    const began = Date.now() / 1000;
    ping(2);
    pair.right.ping(pair.leftAddress6);
    const { stdout } = await capture.ended();
    expect(JSON.parse(stdout)).toMatchObject({
      program: "guard",
      way: "hook",
      verdicts: true,
      file,
      frames: 3,
      lost: 0,
    });
    const rows = tshark(
      file,
      ...["frame.interface_name", "frame.interface_description", "frame.interface_queue"],
      ...["frame.packet_flags_direction", "frame.packet_id", "frame.verdict.ebpf_xdp", "frame.comment"],
      ...["frame.len", "frame.cap_len", "frame.time_epoch"],
    );
    const about = expect.stringMatching(/^XDP native, program guard \(id \d+\)$/);
    const head = (id: string) => ["eth0", about, "0", "0x00000001", id];
    expect(rows[0]?.slice(0, 9)).toEqual([...head("0"), "1", "reason: deny-addr", "98", "60"]);
    expect(rows[1]?.slice(0, 6)).toEqual([...head("1"), "1"]);
    expect(rows[2]?.slice(4, 7)).toEqual(["2", "2", ""]);
    for (const row of rows) expect(Math.abs(Number(row[9]) - began)).toBeLessThan(2);
    const bytes = readFileSync(file);
    const end = bytes.subarray(bytes.length - bytes.readUInt32LE(bytes.length - 4));
    // The statistics: received, dropped by the interface.
    expect(end.readUInt32LE(0)).toBe(5);
    expect(end.readUInt16LE(20)).toBe(4);
    xdpctl(pair.left, ["unload", "eth0"]);
  });

  it("are captured under a controller, and live by tshark", async () => {
    const controller = Running.xdpctl(pair.left, "run", "guard", "eth0");
    running.push(controller);
    await controller.sees("guard");
    const argv = pair.left.argv(
      "sh",
      "-c",
      '"$@" | tshark -l -r - -T fields -e frame.verdict.ebpf_xdp -e icmp.seq',
      "sh",
    );
    const live = new Running([...argv, ...xdpctlArgv("capture", "eth0", "-w", "-", "-f", "icmp", "-c", "2")]);
    running.push(live);
    const deadline = Date.now() + 10_000;
    while (!live.stderr.includes("capturing on") && Date.now() < deadline) await new Promise((r) => setTimeout(r, 10));
    expect(ping(2)).toBe(2);
    expect(await live.ended()).toMatchObject({ status: 0, stdout: "2\t1\n2\t2\n" });
    expect(attached()).toBe("guard");
  });

  it("are captured whole when their frames are in several buffers", async () => {
    for (const [side, name] of [
      [pair.left, "eth0"],
      [pair.right, "eth0"],
    ] as const) {
      side.must("ip", "link", "set", name, "mtu", "9000");
    }
    const file = join(folder, "jumbo.pcapng");
    expect(xdpctl(pair.left, ["load", "guard", "eth0", "--mode", "native"]).status).toBe(0);
    const capture = await started("-w", file, "-f", "icmp and greater 5000", "-c", "1");
    expect(ping(1, "-s", "8000", "-p", "5a")).toBe(1);
    await capture.ended();
    const [[length, captured, data] = []] = tshark(file, "frame.len", "frame.cap_len", "data.data");
    expect([length, captured]).toEqual(["8042", "8042"]);
    expect(data).toMatch(/^[0-9a-f]{16,48}(5a){7900,}$/);
    xdpctl(pair.left, ["unload", "eth0"]);
  });

  it("stay captured through a pipe, and nothing is left behind when its reader goes", async () => {
    const argv = pair.left.argv("sh", "-c", '"$@" -w - | head -c 400 | wc -c', "sh", ...xdpctlArgv("capture", "eth0"));
    const pipe = new Running(argv);
    running.push(pipe);
    const deadline = Date.now() + 10_000;
    while (pipe.child.exitCode === null && Date.now() < deadline) {
      ping(5);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(await pipe.ended()).toMatchObject({ status: 0, stdout: "400\n" });
    expect(attached()).toBe("");
  });

  it("are looked for by interface, one capture at a time; frames that do not fit are counted", async () => {
    const first = await started("--ring-size", "4k", "-f", "icmp");
    expect(first.stderr).toContain("eth0, which had no program: pass is attached for the time (native)");
    const second = xdpctl(pair.left, ["capture", "eth0"]);
    expect(second).toMatchObject({ status: 6, stderr: expect.stringContaining("eth0 is being captured already") });
    first.signal("SIGSTOP");
    expect(pair.right.ping(pair.leftAddress, 300, 0.001)).toBe(300);
    first.signal("SIGCONT");
    await first.sees("icmp echo request");
    first.signal("SIGINT");
    const { status, stdout, stderr } = await first.ended();
    const [, frames, lost] = /(\d+) frames of \d+, (\d+) lost/.exec(stderr) ?? [];
    expect(Number(frames) + Number(lost)).toBe(300);
    expect(Number(lost)).toBeGreaterThan(200);
    expect(stdout.trim().split("\n")).toHaveLength(Number(frames));
    expect(status).toBe(0);
    expect(attached()).toBe("");
  });
});

const xdpctlArgv = (...args: string[]): string[] => [
  process.execPath,
  join(import.meta.dirname, "../../bin/xdpctl.cjs"),
  ...args,
];

describe("a program that is not ours", () => {
  const put = (): void => void pair.left.must("ip", "link", "set", "eth0", "xdpdrv", "obj", FOREIGN, "sec", "xdp");
  const pins = (): boolean => existsSync(`/sys/fs/bpf/xdpctl/${pair.left.inode}`);

  it("goes on to decide while it is captured, is back after, and the file says that its verdicts are unknown", async () => {
    put();
    const file = join(folder, "foreign.pcapng");
    const capture = await started("-w", file, "-f", "icmp", "-c", "3");
    expect(capture.stderr).toContain("firewall (id");
    expect(capture.stderr).toContain("not ours, so its verdicts are unknown");
    expect(attached()).toBe("capture_linear");
    expect(ping(2)).toBe(0);
    expect(ping(1, "-s", "100")).toBe(1);
    expect(await capture.ended()).toMatchObject({ status: 0 });
    expect(attached()).toBe("firewall");
    expect(pins()).toBe(false);
    const rows = tshark(file, "frame.interface_description", "frame.verdict.ebpf_xdp", "frame.len");
    expect(rows).toEqual([
      [expect.stringContaining("verdicts unknown, the program is not ours"), "", "98"],
      [expect.anything(), "", "98"],
      [expect.anything(), "", "142"],
    ]);
  });

  it("has gone when its interface has: that is all that is said", async () => {
    put();
    const capture = await started();
    expect(attached()).toBe("capture_linear");
    pair.left.must("ip", "link", "delete", "eth0");
    const { status, stderr } = await capture.ended();
    expect({ status, said: stderr.includes("eth0 is gone") }).toEqual({ status: 5, said: true });
    expect(stderr).not.toContain("put back");
    expect(pins()).toBe(false);
  });

  it("is back after SIGTERM, and after kill -9; and when its guardian is killed, too, the next capture puts it back", async () => {
    put();
    const back = async (): Promise<void> => {
      const deadline = Date.now() + 5000;
      while (attached() !== "firewall" || pins()) {
        if (Date.now() > deadline) throw new Error(`not back: ${attached()}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    };
    for (const signal of ["SIGTERM", "SIGKILL"] as const) {
      const capture = await started();
      expect(attached()).toBe("capture_linear");
      capture.signal(signal);
      await capture.ended();
      await back();
    }
    const capture = await started();
    // nsenter becomes the command: the guardian is its child.
    const child = spawnSync("ps", ["-o", "pid=", "--ppid", String(capture.child.pid)], { encoding: "utf8" });
    process.kill(Number(child.stdout.trim()), "SIGKILL");
    capture.signal("SIGKILL");
    await capture.ended();
    expect(attached()).toBe("capture_linear");
    // It still decides.
    expect([ping(1), ping(1, "-s", "100")]).toEqual([0, 1]);
    const next = xdpctl(pair.left, ["capture", "eth0", "--for", "50ms"]);
    expect(next.stderr).toContain("a capture that was killed had left its wrapper: firewall is back");
    await back();
  });

  it("that takes frames in several buffers, held by a bpf_link, in generic mode: the same", async () => {
    const leave = pair.left.enter();
    const object = await BpfObject.load(compileBpf(source("xdp.frags")));
    const other = attach(object.programs.firewall as BpfProgram, "eth0", { mode: "generic" });
    leave();
    try {
      const capture = await started("-f", "icmp", "-c", "1");
      expect(capture.stderr).toContain("(generic)");
      expect(attached()).toBe("capture");
      expect(ping()).toBe(0);
      expect((await capture.ended()).stdout).toMatch(/ {2}eth0:0 {2}\? {5}10\.77\.1\.2/);
      expect(attached()).toBe("firewall");
    } finally {
      other.close();
      object.close();
    }
  });
});

describe("what goes wrong", () => {
  const wrong = (...args: string[]): Ended => xdpctl(pair.left, ["capture", ...args]);

  it("is said, and nothing is attached for it", () => {
    expect(wrong("eth1")).toMatchObject({
      status: 5,
      stderr: expect.stringContaining("no interface eth1 in this namespace (did you mean eth0?)"),
    });
    expect(wrong("eth0", "-f", "foo bar")).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("syntax error"),
    });
    expect(wrong("eth0", "-f", "ip6 protochain 17")).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("protochain"),
    });
    expect(wrong("eth0", "-w", "/nowhere/x")).toMatchObject({ status: 5 });
    expect(wrong("eth0", "-c", "0")).toMatchObject({ status: 2 });
    expect(wrong("eth0", "--ring-size", "5000")).toMatchObject({ status: 2 });
    const nobody = pair.left.exec([
      "setpriv",
      "--bounding-set=-bpf,-sys_admin",
      "--inh-caps=-all",
      ...xdpctlArgv("capture", "eth0"),
    ]);
    expect(nobody).toMatchObject({ status: 3, stderr: expect.stringContaining("CAP_BPF") });
    expect(attached()).toBe("");
  });

  it("a full disk ends it", async () => {
    const capture = await started("-w", "/dev/full");
    expect(await capture.ended()).toMatchObject({ status: 5, stderr: expect.stringContaining("ENOSPC") });
    expect(attached()).toBe("");
  });

  it("an interface that goes away, or its program, ends it", async () => {
    xdpctl(pair.left, ["load", "pass", "eth0"]);
    const file = join(folder, "gone.pcapng");
    const replaced = await started();
    xdpctl(pair.left, ["unload", "eth0"]);
    expect(await replaced.ended()).toMatchObject({
      status: 5,
      stderr: expect.stringMatching(/pass \(id \d+\) was taken off eth0: there is none now/),
    });
    const capture = await started("-w", file, "-f", "icmp");
    ping();
    pair.left.must("ip", "link", "delete", "eth0");
    expect(await capture.ended()).toMatchObject({ status: 5, stderr: expect.stringContaining("eth0 is gone") });
    expect(tshark(file, "icmp.type")).toEqual([["8"]]);
  });
});
