// SPDX-License-Identifier: MIT
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  BufferSpan,
  clampMss,
  EchoHost,
  pcapngInterface,
  pcapngPacket,
  pcapngSection,
  replyDns,
  replyUdp,
  resetReceiver,
  resetSender,
  TCP_FLAG,
  WordChange,
} from "../../src/packet/index.js";
import { hasTool, needs } from "../fixtures/needs.js";
import { DNS_QUERY_EDNS } from "../fixtures/payloads.js";
import { ASKER, arpFrame, bytesOf, HOST, pingFrame, solicitationFrame, tcpFrame, udpFrame } from "../fixtures/talk.js";

/** Sums are checked for all protocols, which is off by default; `Good` is 1, `not there` 2 or 3. */
const CHECKS = ["ip", "tcp", "udp"].flatMap((protocol) => ["-o", `${protocol}.check_checksum:TRUE`]);

/** What tshark reads of each frame: one object a frame, a field's values joined by commas. */
function tshark(frames: readonly Uint8Array[], fields: readonly string[]): Record<string, string>[] {
  const file = Buffer.concat([
    pcapngSection(),
    pcapngInterface({ name: "views" }),
    ...frames.map((data, i) => pcapngPacket({ time: BigInt(i) * 1_000_000n, data })),
  ]);
  const columns = fields.flatMap((field) => ["-e", field]);
  // tshark reads no socket, which standard input would be.
  const folder = mkdtempSync(join(tmpdir(), "xdpctl-tshark-"));
  const path = join(folder, "frames.pcapng");
  writeFileSync(path, file);
  // Separator `|`: values hold tabs and commas.
  const args = ["-n", "-r", path, ...CHECKS, "-T", "fields", "-E", "separator=|", ...columns];
  const { stdout, stderr, status } = spawnSync("tshark", args, { encoding: "utf8", timeout: 60_000 });
  rmSync(folder, { recursive: true });
  expect(status, stderr).toBe(0);
  const lines = stdout.split("\n").slice(0, frames.length);
  return lines.map((line) => Object.fromEntries(line.split("|").map((value, i) => [fields[i] as string, value])));
}

const STATUS = ["ip.checksum.status", "tcp.checksum.status", "udp.checksum.status"];
const ICMP_STATUS = ["icmp.checksum.status", "icmpv6.checksum.status"];
const FIELDS = [
  ...["eth.src", "eth.dst", "vlan.id", "ip.src", "ip.dst", "ip.ttl", "ip.len", "ipv6.src", "ipv6.dst", "ipv6.hlim"],
  ...["arp.opcode", "arp.src.proto_ipv4", "arp.dst.hw_mac", "arp.dst.proto_ipv4", "icmp.type", "icmp.seq"],
  ...["icmpv6.type", "icmpv6.nd.na.flag", "icmpv6.nd.na.target_address", "icmpv6.opt.linkaddr"],
  ...["udp.srcport", "udp.dstport", "udp.length", "udp.payload", "tcp.flags", "tcp.seq_raw", "tcp.ack_raw", "tcp.len"],
  ...["tcp.window_size_value", "tcp.options.mss_val", "dns.flags", "dns.a", "dns.resp.ttl", "dns.qry.name"],
  ...["_ws.malformed", ...STATUS, ...ICMP_STATUS],
];

const host = new EchoHost({ mac: HOST.mac, addresses: [HOST.v4, HOST.v6] });
const change = new WordChange({ from: "apple", to: "watermelon" });

function made(frame: Uint8Array, act: (span: BufferSpan) => boolean): Uint8Array {
  const span = new BufferSpan(new Uint8Array(2048));
  span.load(frame);
  expect(act(span)).toBe(true);
  return span.copy();
}

const hex = (text: string): string => Buffer.from(text).toString("hex");
const echoed = (frame: Uint8Array): Uint8Array => made(frame, (span) => host.answer(span));
const back = { "eth.src": HOST.mac, "eth.dst": ASKER.mac };
const segment = { sport: 4242, dport: 80, flags: TCP_FLAG.ACK, sequence: 1000, acknowledgment: 2000 };
const syn = { sport: 1, dport: 2, flags: TCP_FLAG.SYN, options: Uint8Array.of(1, 2, 4, 5, 180) };
const reset = { "tcp.flags": "0x0014", "tcp.len": "0", "tcp.window_size_value": "0" };

const COMMON: [string, Uint8Array, Record<string, string>][] = [
  [
    "an ARP reply",
    echoed(arpFrame()),
    {
      ...{ ...back, "arp.opcode": "2", "arp.src.proto_ipv4": HOST.v4, "arp.dst.hw_mac": ASKER.mac },
      "arp.dst.proto_ipv4": ASKER.v4,
    },
  ],
  [
    "an advertisement",
    echoed(solicitationFrame()),
    {
      ...{ ...back, "ipv6.src": HOST.v6, "ipv6.dst": ASKER.v6, "ipv6.hlim": "255", "icmpv6.type": "136" },
      ...{ "icmpv6.nd.na.target_address": HOST.v6, "icmpv6.opt.linkaddr": HOST.mac },
    },
  ],
  ["an echo reply", echoed(pingFrame(4, "abc")), { ...back, "icmp.type": "0", "icmp.seq": "7", "ip.ttl": "64" }],
  ["an ICMPv6 echo reply", echoed(pingFrame(6, "abc")), { ...back, "icmpv6.type": "129" }],
];

const OF_FAMILY = ([4, 6] as const).flatMap((family): [string, Uint8Array, Record<string, string>][] => [
  [
    "an echoed datagram with a tag",
    echoed(udpFrame(family, { sport: 4242, dport: 7 }, "hello", { vlans: [{ id: 9 }] })),
    { ...back, "vlan.id": "9", "udp.srcport": "7", "udp.dstport": "4242", "udp.payload": hex("hello") },
  ],
  [
    "a changed word",
    made(udpFrame(family, { sport: 4242, dport: 4243 }, "apple pie, apple"), (span) => change.apply(span) === 2),
    { "udp.length": "34", "udp.payload": hex("watermelon pie, watermelon") },
  ],
  [
    "a reply",
    made(udpFrame(family, { sport: 4242, dport: 4243 }, "odd"), (span) => replyUdp(span, bytesOf("longer than odd"))),
    { ...back, "udp.srcport": "4243", "udp.length": "23", "udp.payload": hex("longer than odd") },
  ],
  [
    "a DNS answer",
    made(udpFrame(family, { sport: 4242, dport: 53 }, DNS_QUERY_EDNS), (span) => replyDns(span, 0xc0000201)),
    { ...back, "dns.flags": "0x81a0", "dns.a": "192.0.2.1", "dns.resp.ttl": "3600", "dns.qry.name": "WWW.Example.com" },
  ],
  [
    "a reset for the sender",
    made(tcpFrame(family, segment, "pineapple"), (span) => resetSender(span, span)),
    { ...back, ...reset, "tcp.seq_raw": "2000", "tcp.ack_raw": "1009", ...(family === 4 ? { "ip.len": "40" } : {}) },
  ],
  [
    "a reset for the receiver",
    made(tcpFrame(family, segment, "pineapple"), (span) => resetReceiver(span, span)),
    { ...reset, "eth.dst": HOST.mac, "tcp.seq_raw": "1000", "tcp.ack_raw": "2000" },
  ],
  [
    "a clamped SYN",
    made(tcpFrame(family, syn), (span) => clampMss(span, 1418)),
    { "tcp.options.mss_val": "1418", "tcp.flags": "0x0002" },
  ],
]);

describe("tshark", () => {
  test("reads every answer as it was meant, and finds its checksums good", (context) => {
    needs(context, hasTool("tshark"), "tshark");
    const all = [...COMMON, ...OF_FAMILY];
    const read = tshark(
      all.map(([, frame]) => frame),
      FIELDS,
    );
    for (const [i, [what, , expected]] of all.entries()) {
      const fields = read[i] ?? {};
      expect(fields, what).toMatchObject(expected);
      expect(fields["_ws.malformed"], what).toBe("");
      const verdicts = [...STATUS, ...ICMP_STATUS].map((name) => fields[name]).filter((verdict) => verdict !== "");
      expect(new Set(verdicts), what).toEqual(new Set(fields["arp.opcode"] === "" ? ["1"] : []));
    }
  });

  test("finds a wrong checksum wrong: so its word counts", (context) => {
    needs(context, hasTool("tshark"), "tshark");
    const frame = echoed(udpFrame(4, { sport: 4242, dport: 7 }, "hello"));
    frame[frame.length - 1]! ^= 1;
    frame[24]! ^= 1;
    expect(tshark([frame], STATUS)).toEqual([
      { "ip.checksum.status": "0", "udp.checksum.status": "0", "tcp.checksum.status": "" },
    ]);
  });
});
