// SPDX-License-Identifier: MIT
import { describe, expect, it } from "vitest";
import { clock, eventLine, networkOf } from "../../src/cli/eventtext.js";
import { failureLines } from "../../src/cli/failure.js";
import { entryTable, formatPlain, parsePlain } from "../../src/cli/plain.js";
import {
  formatCompact,
  formatDuration,
  parseBytes,
  parseCount,
  parseDuration,
  parseRate,
} from "../../src/cli/quantities.js";
import { layout, visible } from "../../src/cli/table.js";
import { parsePort, parseProto, parseTarget } from "../../src/cli/targets.js";
import { XdpctlError } from "../../src/errors/index.js";
import type { PacketEvent, XdpctlEvent } from "../../src/events/index.js";

describe("quantities", () => {
  it.each([
    ["90", 90],
    ["90s", 90],
    ["10m", 600],
    ["1h30m", 5400],
    ["1.5d", 129_600],
    ["250ms", 0.25],
    ["2H", 7200],
  ])("reads the duration %s", (text, seconds) => expect(parseDuration(text)).toBe(seconds));

  it.each(["", "0", "0s", "-1", "10x", "m", "1h 30m", "1e3", "NaN", "9999999999d"])("refuses the duration %j", (text) =>
    expect(() => parseDuration(text)).toThrow(XdpctlError),
  );

  it.each([
    ["1000/s", 1000],
    ["1000", 1000],
    ["10k", 10_000],
    ["10k/s", 10_000],
    ["600/m", 10],
    ["1.5M", 1_500_000],
  ])("reads the rate %s", (text, rate) => expect(parseRate(text)).toBe(rate));

  it.each([
    ["1/m", "60/m"],
    ["59/m", "60/m"],
    ["1/h", "3600/h"],
    ["0.5/s", "1/s"],
    ["0.5", "1"],
  ])("says of the rate %s what the smallest is", (text, least) =>
    expect(() => parseRate(text)).toThrow(
      expect.objectContaining({ code: "XDPCTL_E_USAGE", remedy: `the smallest is ${least}` }),
    ),
  );

  it.each(["0", "-5", "k", "10/d", "ten", "1e999"])("refuses the rate %j", (text) =>
    expect(() => parseRate(text)).toThrow(XdpctlError),
  );

  it("reads sizes in powers of 1024 and counts in powers of 1000", () => {
    expect(parseBytes("4M")).toBe(4 << 20);
    expect(parseBytes("256KiB")).toBe(262_144);
    expect(() => parseBytes("4.5M")).toThrow(XdpctlError);
    expect(parseCount("burst", "2k")).toBe(2000);
    expect(() => parseCount("burst", "0")).toThrow(/"0" is no burst/);
  });

  it("shows durations by their two largest units", () => {
    expect([0.4, 12, 123, 14_400, 90_061].map(formatDuration)).toEqual(["0s", "12s", "2m 3s", "4h", "1d 1h"]);
  });

  it("shows rates shortly", () => {
    expect([0, 0.5, 7, 999, 1000, 3100, 118_240, 999_999, 2.5e9].map(formatCompact)).toEqual([
      "0",
      "0.5",
      "7",
      "999",
      "1.0k",
      "3.1k",
      "118.2k",
      "1.0M",
      "2.5G",
    ]);
  });
});

describe("targets", () => {
  it.each(["198.51.100.7", "198.51.100.0/24", "0.0.0.0/0", "2001:db8::/32", "::1"])("takes %s", (text) =>
    expect(parseTarget(text)).toBe(text),
  );

  it.each([
    "",
    "300.1.1.1",
    "10.0.0.1/33",
    "10.0.0.1/",
    "::/129",
    "host",
    "10.0.0.0/8/8",
    "fe80::1%eth0",
    "10.0.0.1/-1",
  ])("refuses %j", (text) => expect(() => parseTarget(text)).toThrow(XdpctlError));

  it("knows ports and protocols", () => {
    expect(parsePort("65535")).toBe(65_535);
    for (const bad of ["0", "65536", "ssh", "22/tcp"]) expect(() => parsePort(bad)).toThrow(XdpctlError);
    expect(parseProto("UDP")).toBe("udp");
    expect(() => parseProto("icmp")).toThrow(XdpctlError);
  });
});

describe("keys and values", () => {
  it.each([
    ["7", 7],
    ["0x10", 16],
    ["-3", -3],
    ["10.0.0.1", "10.0.0.1"],
    ["18446744073709551615", "18446744073709551615"],
    ["true", true],
    ['{"addr":"10.0.0.1","prefixLen":32}', { addr: "10.0.0.1", prefixLen: 32 }],
    ['{"n":18446744073709551615}', { n: "18446744073709551615" }],
    ["[1,2]", [1, 2]],
    ["addr=10.0.0.0,prefixLen=8", { addr: "10.0.0.0", prefixLen: 8 }],
    ["a.b=1,a.c=2", { a: { b: 1, c: 2 } }],
    ["__proto__=1", Object.defineProperty({}, "__proto__", { value: 1, enumerable: true })],
  ])("reads %s", (text, value) => expect(parsePlain(text)).toEqual(value));

  it("never pollutes a prototype", () => {
    parsePlain("__proto__.polluted=1");
    parsePlain('{"__proto__":{"polluted":1}}');
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
  });

  it("refuses broken JSON and broken fields", () => {
    expect(() => parsePlain("{nope")).toThrow(XdpctlError);
    expect(() => parsePlain("a=1,b")).toThrow(/write NAME=VALUE/);
  });

  it("lays structures out in columns", () => {
    const { columns, rows } = entryTable([
      { key: { addr: "10.0.0.0", prefixLen: 8 }, value: { hits: 3, owner: null } },
      { key: { addr: "::", prefixLen: 0 }, value: { hits: "18446744073709551615", owner: { n: 1 } } },
    ]);
    expect(layout(columns, rows)).toEqual([
      "ADDR      PREFIXLEN                  HITS  OWNER",
      "10.0.0.0          8                     3  –",
      "::                0  18446744073709551615  {n=1}",
    ]);
    expect(formatPlain([1, { a: [2] }])).toBe("[1, a=[2]]");
  });

  it("shows an empty map as its header", () => {
    expect(layout(entryTable([]).columns, [])).toEqual(["KEY  VALUE"]);
  });
});

describe("tables", () => {
  it("shows what would move the cursor as escapes", () => {
    expect(visible("a\nb\u001b[2J\u009b\u202e")).toBe("a\\nb\\x1b[2J\\x9b\\u202e");
    expect(layout([{ title: "NAME" }], [["\u001b]0;x\u0007"]])[1]).toBe("\\x1b]0;x\\x07");
  });
});

describe("errors on a terminal", () => {
  const noInterface = new XdpctlError(
    "XDPCTL_E_NO_INTERFACE",
    "there is no interface eth9 in this namespace (did you mean eth0?)",
  );

  it("shows the message and the code, two spaces apart or at the right edge", () => {
    expect(failureLines(noInterface)).toEqual([
      "error: there is no interface eth9 in this namespace (did you mean eth0?)  XDPCTL_E_NO_INTERFACE",
    ]);
    const [line] = failureLines(new XdpctlError("XDPCTL_E_PERMISSION", "loading needs CAP_BPF (or root)"), 80);
    expect(line).toHaveLength(80);
    expect(line).toMatch(/^error: loading needs CAP_BPF \(or root\) +XDPCTL_E_PERMISSION$/);
  });

  it("puts details below, then the hint", () => {
    const error = new XdpctlError("XDPCTL_E_VERIFIER", "the verifier refused `filter` in broken.bpf.o", {
      lines: ["filter.bpf.c:31  if (…)", "reads 2 bytes at offset 12"],
      remedy: "whole log: xdpctl load broken.bpf.o eth1 --verifier-log -",
    });
    expect(failureLines(error)).toEqual([
      "error: the verifier refused `filter` in broken.bpf.o  XDPCTL_E_VERIFIER",
      "  filter.bpf.c:31  if (…)",
      "  reads 2 bytes at offset 12",
      "  whole log: xdpctl load broken.bpf.o eth1 --verifier-log -",
    ]);
    expect(failureLines(new XdpctlError("XDPCTL_E_OCCUPIED", "eth1 has another program"))[1]).toBe(
      "  hint: `--force` replaces the other program",
    );
  });

  it("says nothing that says nothing", () => {
    expect(failureLines(new XdpctlError("XDPCTL_E_ATTACH", "attaching: busy (EBUSY)"))).toHaveLength(1);
  });

  it("adds the kernel's words where the message lacks them", () => {
    const error = new XdpctlError("XDPCTL_E_ATTACH", "attaching to eth1 failed", { kernel: "MTU too large\u001b[31m" });
    expect(failureLines(error)[1]).toBe("  kernel: MTU too large\\x1b[31m");
  });
});

describe("events as text", () => {
  const time = new Date(2026, 10, 21, 12, 4, 5, 120).toISOString();
  const packet: PacketEvent = {
    type: "deny",
    time,
    interface: "eth1",
    ifindex: 3,
    verdict: "DROP",
    reason: "deny-addr",
    proto: "tcp",
    src: "198.51.100.7",
    dst: "192.168.6.1",
    sport: 4242,
    dport: 22,
    vlan: 0,
    length: 60,
    prefixLen: 24,
    tcpFlags: 2,
  };

  it.each<[string, XdpctlEvent]>([
    ["eth1  deny  198.51.100.7:4242 → 192.168.6.1:22  tcp  rule 198.51.100.0/24", packet],
    [
      "eth1  deny  198.51.100.7:4242 → 192.168.6.1:22  tcp  rule 198.51.100.7 port 22",
      { ...packet, reason: "deny-pair", prefixLen: 32 },
    ],
    ["eth1  deny  198.51.100.7:4242 → 192.168.6.1:22  tcp  rule port 22", { ...packet, reason: "deny-port" }],
    [
      "eth1  flow  [2001:db8::7]:4242 → [2001:db8::1]:22  tcp  vlan 5",
      { ...packet, type: "flow", verdict: "PASS", reason: "default", src: "2001:db8::7", dst: "2001:db8::1", vlan: 5 },
    ],
    [
      "eth1  rate  198.51.100.7 → 192.168.6.1  icmp  over the limit",
      { ...packet, type: "rate", reason: "rate", proto: "icmp", sport: 0, dport: 0 },
    ],
    [
      "eth1  malformed  non-ip  malformed, 13 bytes",
      { ...packet, type: "malformed", reason: "malformed", proto: "non-ip", src: "", dst: "", length: 13 },
    ],
    [
      "eth1  link  up, no carrier",
      { type: "link", time, action: "change", interface: "eth1", ifindex: 3, up: true, carrier: false },
    ],
    [
      "eth1  link  gone",
      { type: "link", time, action: "delete", interface: "eth1", ifindex: 3, up: true, carrier: true },
    ],
    [
      "eth1  xdp  replace  pass  native  id 7",
      { type: "xdp", time, action: "replace", interface: "eth1", ifindex: 3, program: "pass", id: 7, mode: "native" },
    ],
    [
      "portscan  policy  log  a\\x1b[2Jb",
      { type: "policy", time, policy: "portscan", action: "log", text: "a\u001b[2Jb" },
    ],
    [
      "talkers  policy  log  10.0.0.1\t12 kB\\x0d\\n",
      { type: "policy", time, policy: "talkers", action: "log", text: "10.0.0.1\t12 kB\r\n" },
    ],
    ["dns  lost  1 event or packet (policy)", { type: "lost", time, where: "policy", name: "dns", count: 1 }],
    ["pid 7  lost  12 events (reader)", { type: "lost", time, where: "reader", name: "pid 7", count: 12 }],
    ["–  exit  the controller ends", { type: "exit", time }],
  ])("%s", (text, event) => expect(eventLine(event)).toBe(`${clock(time)}  ${text}`));

  it("shows local time to the millisecond", () => expect(clock(time)).toBe("12:04:05.120"));

  it.each([
    ["198.51.100.7", 24, "198.51.100.0/24"],
    ["255.255.255.255", 1, "128.0.0.0/1"],
    ["10.1.2.3", 0, "0.0.0.0/0"],
    ["10.1.2.3", 32, "10.1.2.3"],
    ["2001:db8:1:2:3:4:5:6", 33, "2001:db8::/33"],
    ["2001:db8:1:2::", 64, "2001:db8:1:2::/64"],
    ["::1", 0, "::/0"],
    ["fe80::1", 10, "fe80::/10"],
  ])("names the network of %s/%i", (address, prefixLen, network) => {
    expect(networkOf(address, prefixLen)).toBe(network);
  });
});
