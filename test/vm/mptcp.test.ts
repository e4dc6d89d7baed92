// SPDX-License-Identifier: MIT
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { deploy, destroy, readLab } from "../../src/lab/index.js";
import { hasTool, isRoot, needs } from "../fixtures/needs.js";
import { Running, XDPCTL } from "../fixtures/xdpctl.js";

const NAME = `g${process.pid}`;
const running: Running[] = [];
const works = isRoot && hasTool("qemu-system-x86_64") && hasTool("dnsmasq");

function start(node: string, ...argv: string[]): Running {
  const one = new Running(["ip", "netns", "exec", `${NAME}-${node}`, ...argv]);
  running.push(one);
  return one;
}

describe("MPTCP in a guest", () => {
  beforeAll(() => {
    if (works) deploy(readLab("labs/mptcp-guest.lab.yml"), { name: NAME });
  });
  afterAll(async () => {
    for (const one of running) await one.close();
    if (works) destroy(NAME);
  });

  it("has two NICs with addresses by DHCP, and both carry data", { timeout: 120_000 }, async (context) => {
    needs(context, works, "root, qemu-system-x86_64 and dnsmasq");
    const dhcp = (node: string, range: string): Running =>
      start(
        node,
        ...["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--interface=eth0"],
        ...["--bind-interfaces", "--no-ping", "--leasefile-ro", "--pid-file=", "--log-facility=-"],
        `--dhcp-range=${range}`,
      );
    dhcp("r1", "10.1.0.100,10.1.0.150");
    dhcp("r2", "10.2.0.100,10.2.0.150");
    const server = start("server", process.execPath, "examples/mptcp/server.mjs");
    await server.sees("listening on port 7000 (mptcp)");
    const nets = ["br-1", "br-2"].flatMap((bridge) => ["--net", `lab:${NAME}/${bridge}`]);
    const client = ["examples/mptcp/two-nics.mjs", "10.9.0.10", "7000", "3"];
    const guest = new Running([...XDPCTL, "vm", "run", "-k", "7.2", ...nets, "--", process.execPath, ...client]);
    running.push(guest);
    const { status, stdout, stderr } = await guest.ended();
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    const [addresses = "", ...paths] = stdout.trim().split("\n");
    expect(addresses).toMatch(/^eth0 10\.1\.0\.1\d\d, eth1 10\.2\.0\.1\d\d$/);
    expect(paths.pop()).toBe("mptcp: 2 paths");
    expect(paths).toHaveLength(2);
    for (const path of paths) expect(Number(/ ([\d.]+) MB$/.exec(path)?.[1]), stdout).toBeGreaterThan(0.5);
    await server.sees("mptcp: 3145728 bytes");
  });
});
