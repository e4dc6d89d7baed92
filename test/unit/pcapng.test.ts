// SPDX-License-Identifier: MIT
import { describe, expect, it } from "vitest";
import { withTag } from "../../src/capture/ring.js";
import {
  buildArp,
  buildEthernet,
  buildIcmp,
  buildIPv4Packet,
  buildTcp,
  buildUdp,
  describeFrame,
  ETHERTYPE,
  IP_PROTOCOL,
  parseAddress,
  pcapngInterface,
  pcapngPacket,
  pcapngSection,
  pcapngStatistics,
  readPcapngStatistics,
  TCP_FLAG,
} from "../../src/packet/index.js";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

describe("pcapng", () => {
  it("has the bytes of the format", () => {
    expect(hex(pcapngSection({ application: "xdpctl" }))).toBe(
      `0a0d0d0a2c000000${"4d3c2b1a01000000ffffffffffffffff"}${"04000600786470" + "63746c0000"}00000000${"2c000000"}`,
    );
    expect(hex(pcapngInterface({ name: "eth0", filter: "icmp" }))).toBe(
      `01000000340000000100000000000000${"0200040065746830"}${"0900010009000000"}${"0b000500" + "0069636d70000000"}00000000${"34000000"}`,
    );
    const time = 1_700_000_000_123_456_789n;
    const packet = Buffer.from(pcapngPacket({ time, direction: "out", data: Uint8Array.of(1, 2, 3), length: 60 }));
    expect(hex(packet)).toBe(
      `0600000030000000${"00000000"}${words(time)}${"03000000"}3c000000${"01020300"}${"0200040002000000"}00000000${"30000000"}`,
    );
    const seen = hex(pcapngPacket({ time, data: Uint8Array.of(1, 2, 3, 4), queue: 3, verdict: "redirect" }));
    expect(seen.slice(64)).toBe("06000400030000000700090002040000000000000000000000000000" + "40000000");
    const end = Buffer.from(pcapngStatistics({ time, delivered: 7n, dropped: 2n }));
    expect(end.readUInt32LE(0)).toBe(5);
    expect(end.readUInt32LE(4)).toBe(end.length);
    expect(end.readUInt32LE(end.length - 4)).toBe(end.length);
    expect(hex(end)).toContain("070008000200000000000000");
  });

  it("tells of its own end how many packets there are", () => {
    const time = 1_700_000_000_123_456_789n;
    const end = pcapngStatistics({ time, delivered: 7n, dropped: 2n });
    const packet = pcapngPacket({ time, data: new Uint8Array(100) });
    expect(readPcapngStatistics(Buffer.concat([packet, end]))).toEqual({ delivered: 7n, dropped: 2n });
    expect(readPcapngStatistics(packet)).toBe(undefined);
    // What was cut off, at any byte, and what is not pcapng at all.
    for (let length = 0; length < end.length; length++) {
      expect(readPcapngStatistics(end.subarray(0, length))).toBe(undefined);
      expect(readPcapngStatistics(end.subarray(length + 1))).toBe(undefined);
    }
    expect(readPcapngStatistics(new Uint8Array(64).fill(255))).toBe(undefined);
  });
});

/** Time stamps are two words, the higher one first. */
function words(time: bigint): string {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32LE(Number(time >> 32n), 0);
  bytes.writeUInt32LE(Number(time & 0xffff_ffffn), 4);
  return bytes.toString("hex");
}

const MACS = { dst: "02:00:00:00:00:02", src: "02:00:00:00:00:01" };
const ADDRESSES = { src: "10.0.0.1", dst: "10.0.0.2" };
const PSEUDO = { src: parseAddress(ADDRESSES.src).bytes, dst: parseAddress(ADDRESSES.dst).bytes };

describe("a frame in one line", () => {
  const ip = (protocol: number, payload: Uint8Array): Uint8Array =>
    buildEthernet({ ...MACS, etherType: ETHERTYPE.IPV4 }, buildIPv4Packet({ ...ADDRESSES, protocol }, payload));
  const tcp = buildTcp({ sport: 40000, dport: 80, flags: TCP_FLAG.SYN | TCP_FLAG.ACK }, PSEUDO);

  it.each([
    [
      "ICMP",
      ip(IP_PROTOCOL.ICMP, buildIcmp({ type: 8, id: 7, sequence: 1 })),
      "10.0.0.1 → 10.0.0.2  icmp echo request, id 7 seq 1, 8 bytes",
    ],
    ["TCP", ip(IP_PROTOCOL.TCP, tcp), "10.0.0.1:40000 → 10.0.0.2:80  tcp SYN,ACK, 0 bytes"],
    [
      "UDP",
      ip(IP_PROTOCOL.UDP, buildUdp({ sport: 1, dport: 53 }, PSEUDO, Uint8Array.of(1, 2))),
      "10.0.0.1:1 → 10.0.0.2:53  udp, 2 bytes",
    ],
    ["ESP", ip(IP_PROTOCOL.ESP, new Uint8Array(9)), "10.0.0.1 → 10.0.0.2  esp, 9 bytes"],
    [
      "ARP",
      buildEthernet(
        { ...MACS, etherType: ETHERTYPE.ARP },
        buildArp({ operation: 1, senderMac: MACS.src, sender: "10.0.0.1", target: "10.0.0.2" }),
      ),
      "arp  who has 10.0.0.2? tell 10.0.0.1",
    ],
    [
      "a tag, put back",
      withTag(ip(IP_PROTOCOL.TCP, tcp), ETHERTYPE.VLAN, 0x2005),
      "vlan 5 10.0.0.1:40000 → 10.0.0.2:80  tcp SYN,ACK, 0 bytes",
    ],
    [
      "what nobody knows",
      buildEthernet({ ...MACS, etherType: 0x88cc }, new Uint8Array(3)),
      "02:00:00:00:00:01 → 02:00:00:00:00:02  0x88cc, 3 bytes",
    ],
    [
      "a cut packet",
      ip(IP_PROTOCOL.TCP, tcp).subarray(0, 30),
      "02:00:00:00:00:01 → 02:00:00:00:00:02  0x0800, 16 bytes",
    ],
    ["nearly nothing", new Uint8Array(5), "5 bytes, cut short"],
  ])("tells of %s", (_, frame, line) => {
    expect(describeFrame(frame)).toBe(line);
  });
});
