// SPDX-License-Identifier: MIT
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hasTool, needs } from "../fixtures/needs.js";
import { TestPair } from "../fixtures/netns.js";
import { Running, xdpctl, xdpctlJson } from "../fixtures/xdpctl.js";

const EXAMPLES = fileURLToPath(new URL("../../examples/xsk/", import.meta.url));

describe("xdpctl xsk: measuring", () => {
  let pair: TestPair;
  let directory: string;
  beforeAll(() => {
    pair = new TestPair({ left: "veth0", right: "veth1", net: 41 });
    directory = mkdtempSync(join(tmpdir(), "xdpctl-measure-"));
  });
  afterAll(() => {
    pair.close();
    rmSync(directory, { recursive: true, force: true });
  });

  /** A side that listens: ready when its program is attached. */
  async function listening(...args: string[]): Promise<Running> {
    return attached(Running.xdpctl(pair.right, "xsk", ...args));
  }

  async function attached(running: Running): Promise<Running> {
    const deadline = Date.now() + 10_000;
    while (!pair.right.exec(["ip", "link", "show", "veth1"]).stdout.includes("prog/xdp")) {
      if (Date.now() > deadline) throw new Error(`nothing is attached: ${running.stderr}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return running;
  }

  it("sends exactly --count frames at --rate, which arrive in order with right checksums", async (context) => {
    needs(context, hasTool("tshark"), "tshark");
    const file = join(directory, "sent.pcapng");
    const dump = await listening("dump", "veth1", "--port", "9000", "--count", "200", "-w", file, "--for", "20s");
    const to = `${pair.rightAddress}:9000`;
    const args = ["xsk", "send", "veth0", "--to", to, "--rate", "400", "--count", "200", "--size", "101"];
    const sent = xdpctlJson<{ sent: number; completed: number; rate: number; seconds: number }>(pair.left, args);
    expect(sent).toMatchObject({ sent: 200, completed: 200 });
    // 200 at 400/s are half a second, however late a busy machine wakes it for one of them.
    expect(sent.rate).toBeGreaterThan(350);
    expect(sent.rate).toBeLessThanOrEqual(400);
    expect((await dump.ended()).stdout).toContain("200 frames");
    const read = spawnSync(
      "tshark",
      [
        ...["-r", file, "-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "-T", "fields"],
        ...[
          "-e",
          "frame.len",
          "-e",
          "ip.checksum.status",
          "-e",
          "udp.checksum.status",
          "-e",
          "udp.dstport",
          ...["-e", "data", "-e", "frame.interface_queue", "-e", "frame.verdict.ebpf_xdp"],
        ],
      ],
      { encoding: "utf8" },
    );
    const lines = read.stdout.trim().split("\n");
    expect(lines).toHaveLength(200);
    for (const [i, line] of lines.entries()) {
      const [length, ip, udp, port, data = "", queue, verdict] = line.split("\t");
      expect([length, ip, udp, port]).toEqual(["101", "1", "1", "9000"]);
      // 4: XDP_REDIRECT.
      expect([queue, verdict]).toEqual(["0", "4"]);
      expect(Number.parseInt(data.slice(0, 8), 16)).toBe(i);
    }
  });

  it("few frames are enough to send, and the last line of JSON is the last", () => {
    const args = ["xsk", "send", "veth0", "--count", "10", "--frames", "16", "--stats", "--json"];
    const lines = xdpctl(pair.left, args).stdout.trim().split("\n");
    expect(JSON.parse(lines.at(-1) ?? "")).toMatchObject({ sent: 10, last: true });
    expect(lines.filter((line) => line.includes('"last":true'))).toHaveLength(1);
    expect(xdpctl(pair.left, ["xsk", "send", "veth0", "--count", "1", "--frames", "1"]).status).toBe(2);
  });

  it("takes exactly --count, and leaves the rest in the ring", async () => {
    const drop = await listening(
      "drop",
      "veth1",
      "--count",
      "50",
      "--frame-size",
      "4096",
      "--rx-ring",
      "256",
      "--json",
    );
    xdpctl(pair.left, ["xsk", "send", "veth0", "--count", "2000"]);
    expect(JSON.parse((await drop.ended()).stdout)).toMatchObject({ received: 50, dropped: 50, last: true });
  });

  it("a kernel's UDP socket gets what is sent, over IPv4 and IPv6", async () => {
    for (const [address, family] of [
      [pair.rightAddress, "udp4"],
      [pair.rightAddress6, "udp6"],
    ] as const) {
      const program = `const s = require("dgram").createSocket("${family}"); let n = 0;
        s.on("message", () => { if (++n === 50) { console.log("all"); s.close(); } }); s.bind(9001, () => console.log("bound"));
        setTimeout(() => process.exit(1), 10000).unref();`;
      const receiver = new Running(pair.right.argv(process.execPath, "-e", program));
      await receiver.sees("bound");
      const to = family === "udp6" ? `[${address}]:9001` : `${address}:9001`;
      expect(xdpctl(pair.left, ["xsk", "send", "veth0", "--to", to, "--count", "50", "--rate", "5k"]).status).toBe(0);
      expect((await receiver.ended()).stdout).toContain("all");
    }
  });

  it("measures round trips, and says who doesn't answer", async () => {
    const answering = await listening("latency", "veth1", "--listen", "9002", "--json");
    const args = ["xsk", "latency", "veth0", "--to", `${pair.rightAddress}:9002`];
    const result = xdpctlJson<{ lost: number; microseconds: Record<string, number> }>(pair.left, [
      ...args,
      ...["--count", "500", "--interval", "0"],
    ]);
    expect(result).toMatchObject({ sent: 500, answered: 500, lost: 0, foreign: 0 });
    const { min = 0, p50 = 0, p99 = 0, max = 0 } = result.microseconds;
    expect(min).toBeGreaterThan(1);
    expect([min, p50, p99, max]).toEqual([min, p50, p99, max].toSorted((a, b) => a - b));
    answering.signal("SIGINT");
    expect(JSON.parse((await answering.ended()).stdout)).toMatchObject({ answered: 500 });
    const nobody = xdpctl(pair.left, [...args, "--count", "1"]);
    expect(nobody.stderr).toContain("XDPCTL_E_NO_ANSWER");
    expect(nobody.status).toBe(5);
  });

  it("counts what floods in, each second", async () => {
    const counting = await listening(
      "throughput",
      "veth1",
      "--listen",
      "9003",
      "--count",
      "20000",
      "--for",
      "20s",
      "--json",
    );
    const to = `${pair.rightAddress}:9003`;
    // No run has sent these: the second has a number that would be the last of four thousand million.
    for (const text of ["hi", "\\xff\\xff\\xff\\xff\\x00 and all that belongs to a datagram"])
      pair.left.must("bash", "-c", `printf '${text}' > /dev/udp/${pair.rightAddress}/9003`);
    xdpctlJson(pair.left, ["xsk", "throughput", "veth0", "--to", to, "--rate", "15k", "--count", "20k"]);
    const lines = (await counting.ended()).stdout.trim().split("\n");
    const objects = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(objects[0]).toMatchObject({ second: 1 });
    expect(objects.at(-1)).toMatchObject({
      packets: 20_000,
      bytes: 20_000 * 64,
      missing: 0,
      outOfOrder: 0,
      foreign: 2,
      last: true,
    });
  });

  it("dumps lines and Packetvisor's bytes", async () => {
    const dump = await listening("dump", "veth1", "--protocol", "icmp", "--count", "1");
    pair.left.ping(pair.rightAddress);
    expect((await dump.ended()).stdout).toMatch(/ 10\.77\.41\.1 → 10\.77\.41\.2 {2}icmp echo request, id \d+ seq 1/);
    const hex = await listening("dump", "veth1", "--protocol", "icmp", "--count", "1", "--hex");
    pair.left.ping(pair.rightAddress);
    const { stdout } = await hex.ended();
    expect(stdout).toMatch(/^---packet dump---\nchunk addr: \d+\n(?:[0-9A-F]{2} ){8} (?:[0-9A-F]{2} ){8}\n/);
    expect(stdout).toContain("-------\n");
  });

  it("the examples do the same on the public API", async () => {
    const node = (side: typeof pair.left, name: string, ...args: string[]): string[] => [
      ...side.argv(process.execPath, `${EXAMPLES}${name}.mjs`, ...args),
    ];
    const file = join(directory, "example.pcapng");
    const dump = await attached(new Running(node(pair.right, "dump", "veth1", file)));
    const sent = spawnSync("/usr/bin/env", node(pair.left, "send", "veth0", pair.rightAddress, "9004", "1000", "20"), {
      encoding: "utf8",
    });
    expect(sent.stdout).toMatch(/^sent 20 in 0\.0\d\d s/);
    dump.signal("SIGINT");
    await dump.ended();
    // 20 of 64 bytes at least are in it.
    expect(readFileSync(file).length).toBeGreaterThan(20 * 64);
    const answering = await attached(new Running(node(pair.right, "latency", "veth1", "9005")));
    const measured = spawnSync("/usr/bin/env", node(pair.left, "latency", "veth0", "9005", pair.rightAddress, "100"), {
      encoding: "utf8",
    });
    expect(measured.stdout).toMatch(/^100 of 100: min /);
    answering.signal("SIGINT");
    await answering.ended();
  });

  it("refuses what has no end, no path and no sense", () => {
    for (const [args, code] of [
      [["send", "veth0"], "XDPCTL_E_USAGE"],
      [["send", "veth0", "--count", "1", "--to", "10.0.0.1"], "XDPCTL_E_USAGE"],
      [["send", "veth0", "--count", "1", "--size", "20000"], "XDPCTL_E_USAGE"],
      [["send", "veth9", "--count", "1"], "XDPCTL_E_NO_INTERFACE"],
      [["send", "veth0", "--count", "1", "--to", "192.0.2.1:9"], "XDPCTL_E_NO_PATH"],
      [["send", "veth0", "--count", "1", "--to", "10.77.41.99:9"], "XDPCTL_E_NO_PATH"],
      [["latency", "veth0"], "XDPCTL_E_USAGE"],
      [["throughput", "veth0", "--to", "10.77.41.2:9"], "XDPCTL_E_USAGE"],
      [["dump", "veth1", "-w", "/nonexistent/x", "--count", "1"], "XDPCTL_E_NO_FILE"],
      [["echo", "veth1", "--fd", "3"], "XDPCTL_E_HANDOVER"],
    ] as const) {
      const { stderr, status } = xdpctl(pair.left, ["xsk", ...args.map((a) => (a === "veth1" ? "veth0" : a))]);
      expect(stderr, args.join(" ")).toContain(code);
      expect(status).not.toBe(1);
    }
  });
});
