// SPDX-License-Identifier: MIT
import { expect, test } from "vitest";
import { buildEthernet, buildIPv4Packet, buildUdp, ETHERTYPE, IP_PROTOCOL, parseCidr } from "../../src/packet/index.js";
import { FrameGenerator } from "../fixtures/frames.js";
import { DROP, GuardModel, PASS, REASON } from "../fixtures/guard-model.js";
import { parseFrame } from "../fixtures/guard-parse.js";
import { NO_RULES } from "../fixtures/guard-rules.js";
import { Random } from "../fixtures/random.js";

const macs = { dst: "02:00:00:00:00:01", src: "02:00:00:00:00:02" };
const at = (time: number) => ({ from: time, to: time });

function udp(dport: number): Uint8Array {
  const addresses = { src: "10.0.0.1", dst: "192.168.6.1" };
  const packet = buildIPv4Packet({ ...addresses, protocol: IP_PROTOCOL.UDP }, buildUdp({ sport: 4000, dport }));
  return buildEthernet({ ...macs, etherType: ETHERTYPE.IPV4 }, packet);
}

function rule(cidr: string, expiresNs = 0) {
  return { ...parseCidr(cidr), expiresNs, hits: 0 };
}

test("frames too short for Ethernet, which the kernel takes from no one in a test run, are malformed", () => {
  for (let length = 0; length < 14; length++) expect(parseFrame(new Uint8Array(length)).malformed).toBe(true);
  expect(parseFrame(new Uint8Array(14))).toMatchObject({ malformed: false, family: 0 });
});

test("headers behind the first buffer are out of reach", () => {
  const frame = udp(53);
  expect(parseFrame(frame, 41).malformed).toBe(true);
  expect(parseFrame(frame, 42).malformed).toBe(false);
});

test("allow comes before deny, and the longest prefix that has not expired decides", () => {
  const deny = [rule("10.0.0.0/8"), rule("10.0.0.0/16", 5)];
  const model = new GuardModel({ ...NO_RULES, deny });
  expect(model.run(udp(53), at(4)).verdict).toBe(DROP);
  expect(model.run(udp(53), at(5))).toMatchObject({ verdict: DROP, event: { prefixLen: 8 } });
  expect(deny.map((one) => one.hits)).toEqual([1, 1]);
  const allowed = new GuardModel({ ...NO_RULES, deny, allow: [rule("10.0.0.1")] });
  expect(allowed.run(udp(53), at(4))).toMatchObject({ verdict: PASS, reason: REASON.allow });
});

test("a rule of the packet's own protocol comes before one for TCP and UDP", () => {
  const denyPair = [
    { ...rule("0.0.0.0/0"), proto: 0, port: 53 },
    { ...rule("10.0.0.0/8"), proto: 17, port: 53 },
  ];
  const model = new GuardModel({ ...NO_RULES, denyPair });
  expect(model.run(udp(53), at(1)).event).toMatchObject({ reason: REASON.denyPair, prefixLen: 8 });
  expect(model.run(udp(54), at(1)).verdict).toBe(PASS);
});

test("a token bucket holds its burst and refills at its rate", () => {
  const limit = [{ ...rule("10.0.0.0/8"), rate: 1000, burst: 3 }];
  const model = new GuardModel({ ...NO_RULES, limit });
  const verdicts = (time: number, n: number) => Array.from({ length: n }, () => model.run(udp(53), at(time)).verdict);
  expect(verdicts(1e9, 4)).toEqual([PASS, PASS, PASS, DROP]);
  expect(verdicts(1e9 + 999_999, 1)).toEqual([DROP]);
  expect(verdicts(1e9 + 2_000_000, 3)).toEqual([PASS, PASS, DROP]);
  expect(verdicts(9e9, 4)).toEqual([PASS, PASS, PASS, DROP]);
  expect(limit[0]?.hits).toBe(4);
});

test("one seed makes the same frames", () => {
  const draw = () => {
    const frames = new FrameGenerator(new Random(3));
    return Array.from({ length: 200 }, () => Buffer.from(frames.next()).toString("hex"));
  };
  expect(draw()).toEqual(draw());
});
