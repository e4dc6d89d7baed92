// SPDX-License-Identifier: MIT
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AF_PACKET, inNamespaces, interfaceIndex, SOCK_RAW, Socket } from "../../src/linux/index.js";
import {
  buildEthernet,
  buildIcmp,
  buildIPv4Packet,
  ETHERTYPE,
  ICMP_TYPE,
  IP_PROTOCOL,
} from "../../src/packet/index.js";
import { Running, XDPCTL } from "../fixtures/xdpctl.js";

const NAME = `p${process.pid}`;
const folder = mkdtempSync(join(tmpdir(), "xdpctl-capture-"));
const FILE = join(folder, "t.lab.yml");
writeFileSync(
  FILE,
  `name: ${NAME}\nnodes:\n  a:\n  b:\n  r: { forward: true }\nbridges: { br0: }\nlinks:\n  - a:eth0 -- br0\n  - r:eth0 -- br0\n  - r:eth1 -- b:eth0\n`,
);

function run(argv: readonly string[]): { status: number | null; stdout: string; stderr: string } {
  const [command = "", ...args] = argv;
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: "utf8", timeout: 30_000 });
  return { status, stdout, stderr };
}
const lab = (...args: string[]) => run([...XDPCTL, "lab", ...args]);
const exec = (node: string, ...argv: string[]) => lab("exec", "--lab", NAME, node, ...argv);
const ping = (count = 1): void => {
  expect(exec("a", "ping", "-n", "-q", "-c", `${count}`, "-i", "0.05", "-W", "2", "b").status).toBe(0);
};
async function started(...args: string[]): Promise<Running> {
  const running = new Running([...XDPCTL, "lab", ...args]);
  const deadline = Date.now() + 10_000;
  while (!/capturing at|watching the lab/.test(running.stderr)) {
    if (Date.now() > deadline || running.child.exitCode !== null) throw new Error(`no start: ${running.stderr}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return running;
}

/** A frame with a VLAN tag, sent by a machine as it is. */
function send(node: string, device: string, frame: Uint8Array): void {
  inNamespaces({ net: `/run/netns/${NAME}-${node}` }, () => {
    using socket = new Socket(AF_PACKET, SOCK_RAW, 0);
    const address = Buffer.alloc(20);
    address.writeUInt16LE(AF_PACKET, 0);
    address.writeInt32LE(interfaceIndex(device) ?? 0, 4);
    expect(socket.bind(address)).toBe(0);
    expect(socket.send(frame)).toBe(frame.length);
  });
}

function tagged(id: number): Uint8Array {
  const icmp = buildIcmp({ type: ICMP_TYPE.ECHO, id: 1, sequence: 1 });
  const packet = buildIPv4Packet({ src: "192.0.2.1", dst: "192.0.2.2", protocol: IP_PROTOCOL.ICMP }, icmp);
  const macs = { src: "02:00:00:00:00:01", dst: "ff:ff:ff:ff:ff:ff" };
  return buildEthernet({ ...macs, etherType: ETHERTYPE.IPV4, vlans: [{ id, priority: 5 }] }, packet);
}

beforeAll(() => expect(lab("deploy", FILE)).toMatchObject({ status: 0 }));
afterAll(() => {
  lab("destroy", NAME);
  rmSync(folder, { recursive: true });
});

describe("lab capture", () => {
  it("tells of packets in a line each, at a machine, a bridge, and one end of a link", async () => {
    ping();
    const all = await Promise.all([
      started("capture", "b:eth0", "--lab", NAME, "-f", "icmp", "-n", "2"),
      started("capture", "br0", "--lab", NAME, "-f", "icmp", "-n", "1", "--for", "3s"),
      started("capture", "br0--a:eth0", "--lab", NAME, "-f", "icmp", "-n", "2", "--json"),
    ]);
    ping();
    const [machine, bridge, link] = await Promise.all(all.map((one) => one.ended()));
    expect(machine?.stdout).toMatch(
      /^\d\d:\d\d:\d\d\.\d{6} {2}in {3}10\.\S+ → 10\.\S+ {2}icmp echo request, id \d+ seq 1, 64 bytes\n.* out .*echo reply/,
    );
    expect(machine).toMatchObject({ status: 0, stderr: "capturing at b:eth0\n2 packets, 0 lost\n" });
    // The machine behind bridges has no address: what is for others does not reach its own interface.
    expect(bridge?.stderr).toMatch(/^capturing at br0\n\d packets?, 0 lost\n$/);
    expect(link?.stderr).toMatch(/^capturing at br0:a\.eth0\n/);
    const [first] = (link?.stdout ?? "").split("\n");
    expect(JSON.parse(first ?? "")).toMatchObject({
      ...{ type: "packet", lab: NAME, at: "br0:a.eth0", direction: "in", length: 98 },
      ...{
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/),
        hex: expect.stringMatching(/^[0-9a-f]{196}$/),
      },
    });
  });

  it("writes pcapng that tcpdump reads, VLAN tags and all", async () => {
    const path = join(folder, "v.pcapng");
    const file = await started("capture", "b:eth0", "--lab", NAME, "-f", "vlan 7 and icmp", "-w", path, "-n", "2");
    const pipe = await started("capture", "b:eth0", "--lab", NAME, "-w", "-", "-f", "vlan and icmp", "-n", "1");
    const plain = await started("capture", "b:eth0", "--lab", NAME, "-f", "vlan 8", "-n", "1");
    for (const vlan of [7, 6, 8, 7]) send("r", "eth1", tagged(vlan));
    expect(await file.ended()).toMatchObject({ status: 0, stdout: "" });
    const read = run(["tcpdump", "-ner", path]);
    expect(
      read.stdout.match(/ethertype 802\.1Q .*vlan 7, p 5, .*192\.0\.2\.1 > 192\.0\.2\.2: ICMP echo request/g),
    ).toHaveLength(2);
    expect(read.stdout.trim().split("\n")).toHaveLength(2);
    expect(await pipe.ended()).toMatchObject({ status: 0, stdout: expect.stringContaining("vlan and icmp") });
    expect((await plain.ended()).stdout).toMatch(/ in {3}vlan 8 192\.0\.2\.1 → 192\.0\.2\.2 {2}icmp echo request/);
    // The interface's name, the filter, and how many there were.
    const bytes = readFileSync(path);
    for (const text of ["b:eth0", "vlan 7 and icmp"]) expect(bytes.includes(text)).toBe(true);
    const last = bytes.subarray(bytes.length - bytes.readUInt32LE(bytes.length - 4));
    expect(last.readUInt32LE(0)).toBe(5);
  });

  it("ends with a signal, counts what is lost, and takes nothing down with it", async () => {
    const path = join(folder, "s.pcapng");
    const running = await started("capture", "r:eth1", "--lab", NAME, "-w", path, "--json", "-f", "icmp");
    ping(5);
    running.signal("SIGINT");
    const { status, stdout } = await running.ended();
    expect(JSON.parse(stdout)).toEqual({ lab: NAME, at: "r:eth1", file: path, packets: 10, lost: 0 });
    expect(status).toBe(0);
    ping();
  });

  it("says what is wrong", () => {
    const wrong = (...args: string[]) => lab("capture", "--lab", NAME, ...args);
    expect(wrong("a:eth7")).toMatchObject({ status: 5, stderr: expect.stringContaining("a has no interface eth7") });
    expect(wrong("a:eht0--br0")).toMatchObject({
      status: 5,
      stderr: expect.stringContaining("has no link `a:eht0--br0`"),
    });
    expect(wrong("a:eth0", "-f", "foo bar")).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("syntax error"),
    });
    expect(wrong("a:eth0", "-w", "/nowhere/x")).toMatchObject({ status: 5 });
    expect(wrong("a:eth0", "-n", "0")).toMatchObject({ status: 2 });
  });
});

describe("lab link and lab events", () => {
  it("takes links down and up, with all that belongs to them, and tells of it", async () => {
    const events = await started("events", NAME, "--json");
    const routes = (): string[] => ["-4", "-6"].map((family) => exec("a", "ip", family, "route").stdout);
    const before = routes();
    expect(lab("link", "down", "a:eth0", "--lab", NAME).stdout).toBe("a:eth0 down; br0:a.eth0 up, no carrier\n");
    expect(exec("a", "ip", "route").stdout).toBe("");
    expect(lab("link", "up", "a:eth0", "--lab", NAME).stdout).toBe("a:eth0 up; br0:a.eth0 up\n");
    expect(routes().map((text) => text.split("\n").sort())).toEqual(before.map((text) => text.split("\n").sort()));
    ping();
    const both = lab("link", "flap", "br0--a:eth0", "--lab", NAME, "--for", "50ms", "--times", "2");
    expect(both.stdout).toBe("br0:a.eth0 down; a:eth0 down\nbr0:a.eth0 up; a:eth0 up\n".repeat(2));
    ping();
    expect(exec("b", "xdpctl", "load", "pass", "eth0")).toMatchObject({ status: 0 });
    await events.sees('"action":"attach"');
    expect(exec("b", "xdpctl", "unload", "eth0")).toMatchObject({ status: 0 });
    await events.sees('"action":"detach"');
    writeFileSync(FILE, `${readFileSync(FILE, "utf8").replace("nodes:\n", "nodes:\n  c:\n")}`);
    expect(lab("deploy", FILE)).toMatchObject({ status: 0 });
    await events.sees('"machine":"c","action":"up"');
    const told = events.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    const links = told.filter((one) => one.type === "link" && one.machine === "a" && one.interface === "eth0");
    expect(links[0]).toMatchObject({ lab: NAME, action: "change", up: false, carrier: false });
    expect(links.at(-1)).toMatchObject({ up: true, carrier: true });
    expect(told.filter((one) => one.type === "xdp")).toMatchObject([
      { machine: "b", interface: "eth0", action: "attach", program: "pass", mode: "native" },
      { machine: "b", interface: "eth0", action: "detach", program: "pass", mode: "native" },
    ]);
    expect(lab("link", "down", "nope", "--lab", NAME)).toMatchObject({ status: 5 });
    expect(lab("destroy", NAME)).toMatchObject({ status: 0 });
    const { status, stdout } = await events.ended();
    expect(stdout).toContain('"machine":"a","action":"down"');
    expect(status).toBe(0);
  });
});
