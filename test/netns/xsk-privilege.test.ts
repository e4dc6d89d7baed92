// SPDX-License-Identifier: MIT
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hasTool } from "../fixtures/needs.js";
import { TestPair } from "../fixtures/netns.js";
import { PublicRoot } from "../fixtures/public-root.js";
import { Running, XDPCTL } from "../fixtures/xdpctl.js";

const HERE = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const INSTALL = HERE("../../scripts/install-capabilities");
const PUBLIC = new PublicRoot();
const ECHO = PUBLIC.at("test/fixtures/xsk/adopted-echo.mjs");
/** As another user finds it. */
const OPEN_XDPCTL = [process.execPath, PUBLIC.at("bin/xdpctl.cjs")] as const;
const NOBODY = 65_534;
/** A group of the system that nobody is in. */
const GROUP = { name: "games", id: "60" };
// setpriv itself still has its capabilities when it executes what follows: env is the first without.
const AS_NOBODY = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "env"];
const IN_GROUP = ["setpriv", "--reuid=nobody", "--regid=nogroup", `--groups=${GROUP.id}`, "env"];

let pair: TestPair;
let mac: string;
beforeAll(() => {
  pair = new TestPair({ left: "veth0", right: "veth1", net: 42 });
  mac = /link\/ether (\S+)/.exec(pair.right.must("ip", "link", "show", "veth1"))?.[1] ?? "";
});
afterAll(() => {
  pair.close();
  PUBLIC.close();
});

const program = (): boolean => pair.right.must("ip", "link", "show", "veth1").includes("prog/xdp");

describe("xdpctl xsk open: a socket for a program without privilege", () => {
  it("what can't be started is an error, before and after the descriptors are in place", () => {
    const directory = mkdtempSync(join(tmpdir(), "xdpctl-open-"));
    const script = join(directory, "script");
    writeFileSync(script, "#!/nonexistent\n", { mode: 0o755 });
    for (const file of ["/nonexistent", "/etc/passwd", directory, script]) {
      const { status, stderr } = pair.right.exec([...XDPCTL, "xsk", "open", "veth1", "--", file]);
      expect([file, status, stderr.includes("XDPCTL_E_NO_FILE")]).toEqual([file, 5, true]);
    }
    rmSync(directory, { recursive: true });
  });

  it("nobody answers pings, with no capability at all", async () => {
    const echo = new Running(
      pair.right.argv(
        ...XDPCTL,
        "xsk",
        "open",
        "veth1",
        "--",
        ...AS_NOBODY,
        process.execPath,
        ECHO,
        mac,
        pair.rightAddress,
      ),
    );
    await echo.sees("ready");
    expect(echo.stdout).toBe(`ready as ${NOBODY} with 0000000000000000\n`);
    // The kernel is out of it: what it sees is AF_XDP's.
    pair.right.must("ip", "address", "del", `${pair.rightAddress}/24`, "dev", "veth1");
    try {
      expect(pair.left.ping(pair.rightAddress, 3)).toBe(3);
    } finally {
      pair.right.must("ip", "address", "add", `${pair.rightAddress}/24`, "dev", "veth1");
    }
    echo.signal("SIGTERM");
    const { stdout, status } = await echo.ended();
    expect(status).toBe(0);
    expect(Number(/sent (\d+)/.exec(stdout)?.[1])).toBeGreaterThanOrEqual(3);
    expect(program()).toBe(false);
  });

  it("the commands of xsk take it with --fd", () => {
    const open = (...command: string[]): { status: number | null; stdout: string; stderr: string } =>
      pair.right.exec([...XDPCTL, "xsk", "open", "veth1", "--", ...AS_NOBODY, ...command]);
    const drop = open(...OPEN_XDPCTL, "xsk", "drop", "veth1", "--fd", "3", "--for", "200ms", "--json");
    expect(JSON.parse(drop.stdout)).toMatchObject({ interface: "veth1", queue: 0, last: true });
    const sent = open(...OPEN_XDPCTL, "xsk", "send", "veth1", "--fd", "3", "--count", "100", "--json");
    expect(JSON.parse(sent.stdout)).toMatchObject({ sent: 100, completed: 100 });
    const other = open(...OPEN_XDPCTL, "xsk", "drop", "veth2", "--fd", "3", "--for", "1s");
    expect(other.stderr).toContain("is a socket on veth1, not on veth2");
    const wrong = open(...OPEN_XDPCTL, "xsk", "drop", "veth1", "--fd", "7", "--for", "1s");
    expect(wrong.stderr).toContain("XDPCTL_E_HANDOVER");
    const lying = `XDPCTL_XSK=$(echo "$XDPCTL_XSK" | sed 's/"frameCount":4096/"frameCount":400000/') exec "$@"`;
    const beyond = open("sh", "-c", lying, "sh", ...OPEN_XDPCTL, "xsk", "drop", "veth1", "--fd", "3", "--for", "1s");
    expect(beyond.stderr).toContain("is no memory of 400000 frames");
    expect(open("no-such-command").stderr).not.toBe("");
    expect(program()).toBe(false);
  });
});

describe.skipIf(!hasTool("setcap"))("scripts/install-capabilities (needs setcap)", () => {
  let prefix: string;
  let home: string;
  const install = (...args: string[]): { status: number | null; stdout: string; stderr: string } =>
    spawnSync(INSTALL, args, { encoding: "utf8" });
  const launcher = (): string => `${prefix}/bin/xdpctl-cap`;
  beforeAll(() => {
    mkdirSync("/opt", { recursive: true });
    prefix = mkdtempSync("/opt/xdpctl-test-");
    spawnSync("chmod", ["755", prefix]);
    home = mkdtempSync(join(tmpdir(), "xdpctl-home-"));
    spawnSync("chmod", ["755", home]);
    const { status, stderr } = install("--group", GROUP.name, "--prefix", prefix);
    if (status !== 0) throw new Error(stderr);
  });
  afterAll(() => {
    rmSync(prefix, { recursive: true, force: true });
    rmSync(home, { recursive: true, force: true });
  });
  const as = (who: readonly string[], argv: readonly string[], env: Record<string, string> = {}) =>
    pair.right.exec([...who, ...argv], { env: { ...process.env, ...env } });

  it("installs what the group alone may execute, and can be run twice", () => {
    expect(install("--group", GROUP.name, "--prefix", prefix).stdout).toContain(
      "cap_net_admin,cap_net_raw,cap_perfmon,cap_bpf=p",
    );
    const { uid, gid, mode } = statSync(launcher());
    expect([uid, `${gid}`, mode & 0o7777]).toEqual([0, GROUP.id, 0o750]);
    const outside = as(AS_NOBODY, [launcher(), "--version"]);
    expect(outside.status).not.toBe(0);
    expect(outside.stderr).toContain("Permission denied");
    expect(as(IN_GROUP, [launcher(), "--version"]).stdout).toMatch(/^xdpctl /);
  });

  it("a member of the group opens a socket, whose program has no capability", async () => {
    const echo = new Running(
      pair.right.argv(
        ...[...IN_GROUP, launcher(), "xsk", "open", "veth1", "--", process.execPath, ECHO, mac, pair.rightAddress],
      ),
    );
    await echo.sees("ready");
    expect(echo.stdout).toBe(`ready as ${NOBODY} with 0000000000000000\n`);
    expect(pair.left.ping(pair.rightAddress, 2)).toBe(2);
    echo.signal("SIGTERM");
    expect((await echo.ended()).status).toBe(0);
    const shown = as(IN_GROUP, [
      launcher(),
      "xsk",
      "open",
      "veth1",
      "--",
      "grep",
      "-E",
      "Cap|NoNew",
      "/proc/self/status",
    ]);
    for (const name of ["Inh", "Prm", "Eff", "Amb"]) expect(shown.stdout).toMatch(new RegExp(`Cap${name}:\\s0+\n`));
    expect(shown.stdout).toMatch(/NoNewPrivs:\s1/);
    const drop = as(IN_GROUP, [launcher(), "xsk", "drop", "veth1", "--for", "200ms", "--json"]);
    expect(JSON.parse(drop.stdout)).toMatchObject({ interface: "veth1", mode: "native", last: true });
    expect(program()).toBe(false);
  });

  it("runs nothing of the user's: options of Node, libraries, a debugger, other commands", async () => {
    writeFileSync(join(home, "evil.cjs"), `require("fs").writeFileSync("${home}/evil", "");`);
    spawnSync("chmod", ["777", home]);
    const env = {
      NODE_OPTIONS: `--require ${home}/evil.cjs`,
      NODE_PATH: home,
      HOME: home,
      LD_PRELOAD: `${home}/evil.so`,
      LD_LIBRARY_PATH: home,
      LANG: "../../evil",
    };
    const { status, stdout } = as(IN_GROUP, [
      ...Object.entries(env).map(([name, value]) => `${name}=${value}`),
      ...[launcher(), "xsk", "open", "veth1", "--", "env"],
    ]);
    expect(status).toBe(0);
    const names = stdout
      .trim()
      .split("\n")
      .map((line) => line.split("=")[0]);
    for (const name of Object.keys(env)) expect(names).not.toContain(name);
    expect(stdout).toMatch(/^PATH=\/usr\/local\/sbin:/m);
    expect(stdout).not.toContain(home);
    expect(existsSync(`${home}/evil`)).toBe(false);
    for (const line of [
      ["load", `${home}/evil.bpf.o`, "veth1"],
      ["run", "guard", "veth1"],
      ["lab", "ls"],
      ["xsk", "lua"],
    ])
      expect(as(IN_GROUP, [launcher(), ...line]).status).toBe(3);

    const running = new Running(pair.right.argv(...IN_GROUP, launcher(), "xsk", "drop", "veth1", "--stats", "100ms"));
    await running.sees("received");
    // SIGUSR1 would open Node's debugger.
    running.signal("SIGUSR1");
    await running.sees("received", running.stdout.length);
    expect(running.stderr).not.toMatch(/debugger|inspector/i);
    expect(pair.right.must("ss", "-Hltn")).toBe("");
    running.signal("SIGINT");
    await running.ended();
  });

  it("refuses a place that others may write to, and removes all", () => {
    const open = `${prefix}/open`;
    mkdirSync(open);
    spawnSync("chmod", ["1777", open]);
    const refused = install("--group", GROUP.name, "--prefix", open);
    expect(refused.status).toBe(1);
    expect(refused.stderr).toContain("is writable for others than root");
    expect(install("--group", "no-such-group", "--prefix", prefix).stderr).toContain("there is no group");
    expect(install("--remove", "--prefix", prefix).stdout).toContain("removed");
    expect(existsSync(launcher())).toBe(false);
    expect(existsSync(`${prefix}/lib/xdpctl-cap`)).toBe(false);
    expect(install("--remove", "--prefix", prefix).stdout).toBe("nothing to remove\n");
  });
});
