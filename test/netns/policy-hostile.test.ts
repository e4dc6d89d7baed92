// SPDX-License-Identifier: MIT
import { writeFileSync } from "node:fs";
import { afterEach, describe, expect, it } from "vitest";
import type { PolicyStatus } from "../../src/rpc/index.js";
import { flood } from "../fixtures/flood.js";
import { Garbage } from "../fixtures/garbage.js";
import { isRoot } from "../fixtures/needs.js";
import { TestPair } from "../fixtures/netns.js";
import { DNS_QUERY_EDNS } from "../fixtures/payloads.js";
import { expectRight } from "../fixtures/spans.js";
import { Running, xdpctlJson } from "../fixtures/xdpctl.js";

const FRAMES = 100_000;
const SEED = 96;
/** In the order in which they see a frame, with their arguments; nobody is blocked, or the guard would drop the rest. */
const SAMPLES = [
  ["packet-port", "to=8080"],
  ["packet-rate", "rate=1000000"],
  ["packet-agent", "agents=curl/7.88.1"],
  ["packet-cookie", "name=_xdpcookie"],
  ["packet-sni", "names=test.com"],
  ["packet-dns", "www.example.com=192.0.2.7"],
] as const;

let pair: TestPair | undefined;
const running: Running[] = [];
afterEach(async () => {
  for (const process of running.splice(0)) await process.close();
  pair?.right.exec(["ip", "neigh", "flush", "all", "nud", "all"]);
  pair?.left.exec(["ip", "neigh", "flush", "all", "nud", "all"]);
  pair?.close();
});

/** Asks for www.example.com by UDP from the right; the answer in hexadecimal, or nothing. */
const ask = (to: string): string => `
  const s = require("node:dgram").createSocket("udp4");
  s.on("message", (m) => { console.log(m.toString("hex")); process.exit(); });
  s.on("error", () => process.exit());
  s.connect(53, "${to}", () => s.send(Buffer.from("${Buffer.from(DNS_QUERY_EDNS).toString("hex")}", "hex")));
  setTimeout(() => process.exit(), 1000);`;

describe.skipIf(!isRoot)("100,000 hostile frames by the guard, AF_XDP and the stack", () => {
  it("the sample policies are at work after it", async () => {
    pair = new TestPair({ net: 47 });
    const { left, right, leftAddress } = pair;
    left.run(() => writeFileSync("/proc/sys/net/ipv4/ip_forward", "0"));
    const policies = SAMPLES.flatMap(([name, arg]) => ["--policy", `examples/policies/${name}.lua`, "--arg", arg]);
    const controller = Running.xdpctl(left, "run", "guard", "eth0", ...policies);
    running.push(controller);
    for (const [name] of SAMPLES) await controller.sees(new RegExp(`^${name} +running +hooks packet`, "m"));

    const garbage = new Garbage(SEED, { least: 14, most: 1554 });
    const { back } = await flood({ at: right, name: "eth0" }, garbage, () => false, FRAMES);
    // Replies of policies, and of the kernel, are whole and right.
    expect(back.length).toBeGreaterThan(100);
    for (const frame of back) expectRight(frame);

    const answer = right.must(process.execPath, "-e", ask(leftAddress)).trim();
    expect(answer).toMatch(/c00c0001000100000e100004c0000207$/);
    expect(right.ping(leftAddress)).toBe(1);
    const { policies: after } = xdpctlJson<{ policies: PolicyStatus[] }>(left, ["policy", "ls"]);
    expect(after.map(({ name, state, lastError }) => [name, state, lastError])).toEqual(
      SAMPLES.map(([name]) => [name, "running", null]),
    );
    // A port has 1,024 frames: had one in a hundred not come back, none would be left.
    for (const { name, calls } of after) expect(calls, `seed ${SEED}: ${name}`).toBeGreaterThan(1000);
  });
});
