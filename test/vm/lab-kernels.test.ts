// SPDX-License-Identifier: MIT
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { release, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import type { TestReport } from "../../src/lab/index.js";
import { hasTool, isRoot } from "../fixtures/needs.js";
import { XDPCTL } from "../fixtures/xdpctl.js";

const folder = mkdtempSync(join(tmpdir(), "xdpctl-lab-kernels-"));
afterAll(() => rmSync(folder, { recursive: true }));

function xdpctl(...args: string[]) {
  const [command, ...first] = XDPCTL;
  const { status, stdout, stderr } = spawnSync(command, [...first, ...args], { encoding: "utf8", timeout: 100_000 });
  return { status, stdout, stderr };
}

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const PAIR = `
name: pair
nodes: { left: , right: }
links: [ "left:eth0 -- right:eth0" ]
`;
const SINGLE = { timeout: 120_000 };

describe.skipIf(!isRoot || !hasTool("qemu-system-x86_64"))("labs on other kernels", () => {
  it("passes the checks of labs/xdp.lab.yml on 6.1 and on 7.2", SINGLE, () => {
    const { status, stdout } = xdpctl("lab", "test", "labs/xdp.lab.yml", "--kernel", "6.1,7.2", "--json");
    const { state, runs } = JSON.parse(stdout) as TestReport;
    expect(runs.map(({ target, kernel }) => `${target} ${/^\d+\.\d+/.exec(kernel)}`)).toEqual(["6.1 6.1", "7.2 7.2"]);
    for (const { checks, kernelLog } of runs) {
      expect(checks.map((check) => `${check.name} ${check.state}`)).toEqual([
        "reach passed",
        "masqueraded passed",
        "blocked passed",
        "counted passed",
        "open-again passed",
      ]);
      expect(kernelLog).toEqual({ state: "clean", splats: [] });
    }
    expect({ status, state }).toEqual({ status: 0, state: "passed" });
  });

  it("tells on which kernel a check failed, or which kernel gave up, and tests the others", SINGLE, () => {
    // Only a guest has this file.
    const inGuest = "test -x /run/xdpctl/agent";
    const text = `${PAIR}checks:
  reach: { from: left, ping: right, within: 5s }
  differs: { on: left, exec: [sh, -c, "! ${inGuest}"] }
  crash: { on: left, exec: [sh, -c, "! ${inGuest} || echo c > /proc/sysrq-trigger"] }
  later: { from: right, ping: left, within: 5s }
`;
    const bundle = join(folder, "failed");
    const junit = join(folder, "report.xml");
    const args = ["--kernel", "7.2,host", "--bundle", bundle, "--junit", junit];
    const { status, stdout } = xdpctl("lab", "test", file("crash.lab.yml", text), ...args);
    const lines = stdout.split("\n").map((line) => line.trim().replace(/ +/g, " "));
    expect(lines.slice(0, 7)).toEqual([
      "CHECK 7.2 host",
      "reach ok ok",
      "differs FAILED ok",
      "crash FAILED ok",
      "later skipped ok",
      "kernel log FAILED ok",
      "guest FAILED –",
    ]);
    expect(lines).toContain("kernel splat on 7.2: Kernel panic - not syncing: sysrq triggered crash");
    expect(stdout).toMatch(/^failed: 2 kernels, 8 checks, 2 failed, 1 skipped, 1 kernel splat/m);
    expect(status).toBe(1);
    const [kernel = "", ...others] = readdirSync(bundle);
    expect(kernel).toMatch(/^7\.2/);
    expect(others).toEqual([]);
    expect(readFileSync(join(bundle, kernel, "console.log"), "utf8")).toContain("sysrq triggered crash");
    expect(readFileSync(join(bundle, kernel, "kernel.log"), "utf8")).toContain(`Linux version ${kernel}`);
    // What the guest itself wrote while it lived.
    expect(readFileSync(join(bundle, kernel, "differs/left/links.txt"), "utf8")).toContain("eth0");
    const xml = readFileSync(junit, "utf8");
    expect(xml).toContain(`name="pair on ${release()}" tests="5" failures="0"`);
    expect(xml).toContain('type="XDPCTL_E_VM_PANIC"');
  });

  it("refuses what a lab in a guest can't do, before it boots anything", () => {
    const lab = file("one.lab.yml", `${PAIR}checks: { reach: { from: left, ping: right } }\n`);
    const refused = (...args: string[]) => {
      const { status, stderr } = xdpctl("lab", "test", lab, ...args);
      expect(status).toBe(2);
      return stderr;
    };
    expect(refused("-k", "7.2", "--pause")).toMatch(
      /--pause halts .* 7\.2 is in a guest.*\n.*vm run -k 7\.2 --overlay/,
    );
    expect(refused("-k", "7.2", "--keep")).toContain("can't be kept");
    expect(refused("-k", "7.2,")).toContain("a name between its commas");
    expect(refused("-k", "host,./nothing")).toContain("XDPCTL_E_NO_FILE");
    const nested = file("vm.lab.yml", "name: n\nnodes: { a: { kind: vm } }\nchecks: { x: { on: a, exec: [ls] } }\n");
    expect(xdpctl("lab", "test", nested, "-k", "7.2").stderr).toContain("only labs of namespaces");
    expect(existsSync("/run/xdpctl/labs/pair")).toBe(false);
  });

  it("has netem, which delays and loses, and two subflows on two paths", SINGLE, () => {
    // A start of Node takes seconds here, so commands enter the machines by their namespaces' names.
    const script = `
      set -e
      x() { "$NODE" bin/xdpctl.cjs lab "$@"; }
      on() { ip netns exec "$@"; }
      x deploy labs/pair.lab.yml
      x impair left:eth0 delay=20ms jitter=1ms jitter-correlation=10%
      on pair-left ping -n -q -c 5 -i 0.2 10.0.1.2
      x impair left:eth0 loss=100% loss-correlation=25% duplicate=2% corrupt=0.5% reorder=50%
      on pair-left tc qdisc show dev eth0
      on pair-left ping -n -q -c 5 -i 0.2 -W 1 10.0.1.2 || echo lost
      x deploy labs/mptcp.lab.yml
      on mptcp-server "$NODE" examples/mptcp/server.mjs > /tmp/server.log 2>&1 &
      until grep -q listening /tmp/server.log; do sleep 0.1; done
      on mptcp-client "$NODE" examples/mptcp/client.mjs 10.9.0.10 7000 1`;
    const guest = ["vm", "run", "-k", "7.2", "--overlay", "/", "--timeout", "90s", "--"];
    const { status, stdout } = xdpctl(...guest, "env", `NODE=${process.execPath}`, "sh", "-c", script);
    const [, least = ""] = /^rtt min[^=]*= ([\d.]+)/m.exec(stdout) ?? [];
    expect(Number(least)).toBeGreaterThan(19);
    expect(stdout).toMatch(/left:eth0 .* 20ms +1ms 10% +100% 25% +duplicate 2%, corrupt 0.5%, reorder 50% /);
    expect(stdout).toMatch(/delay 20ms +1ms 10% loss 100% 25% duplicate 2% reorder 50% corrupt 0.5% gap 1/);
    expect(stdout).toMatch(/5 packets transmitted, 0 received, 100% packet loss[\s\S]*\nlost\n/);
    expect(stdout).toContain("mptcp, at most 2 subflows: every byte arrived");
    expect(status).toBe(0);
  });
});
