// SPDX-License-Identifier: MIT
import { describe, expect, it } from "vitest";
import type { XdpctlError } from "../../src/errors/index.js";
import { parseLab } from "../../src/lab/index.js";
import { decodeMptcpEvent, MptcpSocket } from "../../src/netlink/index.js";
import { join, type Part, u16, u32, u8, attribute, attributes } from "../../src/netlink/message.js";
import { decodeEndpoint } from "../../src/netlink/mptcp.js";
import { decodeConnection, decodeSubflow } from "../../src/netlink/mptcp-connections.js";

const list = (...parts: Part[]) =>
  [...attributes(join(parts))].map(([type, data]) => ({ type, data: Buffer.from(data) }));
const TIME = "2026-01-02T03:04:05.678Z";
const ip = (...bytes: number[]): Uint8Array => Uint8Array.from(bytes);
const be16 = (type: number, value: number): Part => attribute(type, ip(value >> 8, value & 255));

describe("events of mptcp_pm", () => {
  it("have names, addresses, and ports in host order", () => {
    const message = {
      command: 10,
      version: 1,
      payload: Buffer.alloc(0),
      attributes: list(
        ...[u32(1, 0xfee1dead), u16(2, 2), u8(3, 1), u8(4, 0), attribute(5, ip(10, 0, 2, 1))],
        ...[attribute(7, ip(10, 0, 9, 1)), be16(9, 4711), be16(10, 80), u8(11, 1), u32(15, 7)],
      ),
    };
    expect(decodeMptcpEvent(message, TIME)).toEqual({
      ...{ type: "mptcp", time: TIME, event: "sub_established", token: 0xfee1dead, localId: 1, remoteId: 0 },
      ...{ source: "10.0.2.1", sourcePort: 4711, destination: "10.0.9.1", destinationPort: 80, backup: true, index: 7 },
    });
  });

  it("tell which side accepted, by the attribute or by the flag of newer kernels", () => {
    const of = (...parts: Part[]) =>
      decodeMptcpEvent({ command: 2, version: 1, payload: Buffer.alloc(0), attributes: list(...parts) }, TIME);
    expect(of(u8(18, 1))).toMatchObject({ event: "established", server: true });
    expect(of(u16(13, 2))).toMatchObject({ server: true });
    expect(of(u8(18, 0), u16(13, 1))).toMatchObject({ server: false });
    expect(
      decodeMptcpEvent({ command: 3, version: 1, payload: Buffer.alloc(0), attributes: list(u32(1, 5)) }, TIME),
    ).toEqual({
      ...{ type: "mptcp", time: TIME, event: "closed", token: 5 },
    });
    expect(decodeMptcpEvent({ command: 99, version: 1, attributes: [], payload: Buffer.alloc(0) })).toBeUndefined();
  });
});

describe("bad input", () => {
  it("of answers is nothing, never a crash", () => {
    expect(decodeEndpoint({ command: 3, version: 1, attributes: [], payload: Buffer.alloc(0) })).toBeUndefined();
    const short = { type: 20, flags: 0, seq: 1, port: 0, data: Buffer.alloc(40) };
    expect(decodeSubflow(short)).toBeUndefined();
    expect(decodeConnection(short)).toBeUndefined();
    const bare = { ...short, data: Buffer.alloc(72) };
    expect(decodeSubflow(bare)).toBeUndefined();
    expect(decodeConnection(bare)).toMatchObject({ token: 0, state: "unknown" });
    for (let size = 0; size < 8; size++) {
      const attributes = [1, 3, 5, 7, 9, 11, 13, 15, 18].map((type) => ({ type, data: Buffer.alloc(size) }));
      expect(() => decodeMptcpEvent({ command: 1, version: 1, payload: Buffer.alloc(0), attributes })).not.toThrow();
    }
  });

  it("of callers is refused before it is sent", () => {
    const socket = new MptcpSocket();
    for (const bad of [
      () => socket.setLimits({ subflows: 9 }),
      () => socket.setLimits({ accepted: -1 }),
      () => socket.addEndpoint({ address: "10.0.0.300", flags: [] }),
      () => socket.addEndpoint({ address: "10.0.0.3", id: 300, flags: [] }),
      () => socket.createSubflow(1, { address: "10.0.0.1" }, { address: "10.0.0.2", port: 65_536 }),
    ]) {
      expect(bad).toThrow(expect.objectContaining({ code: "XDPCTL_E_USAGE" }) as XdpctlError);
    }
    socket.close();
  });
});

describe("a lab file", () => {
  const lab = (mptcp: string): string =>
    `name: t\nnodes:\n  a:\n    mptcp: ${mptcp}\n  b:\nlinks: ["a:eth0 -- b:eth0", "a:eth1 -- b:eth1"]\n`;

  it("gives each address of an interface to MPTCP", () => {
    expect(parseLab(lab("{ subflows: 4, endpoints: { eth1: [subflow, backup] } }")).nodes[0]?.mptcp).toEqual({
      subflows: 4,
      accepted: 0,
      endpoints: [
        { interface: "eth1", address: "10.0.2.1", flags: ["subflow", "backup"] },
        { interface: "eth1", address: "fd00:0:2::1", flags: ["subflow", "backup"] },
      ],
    });
    expect(parseLab(lab("{}")).nodes[0]?.mptcp).toEqual({ subflows: 2, accepted: 0, endpoints: [] });
  });

  it("has routes beside the default one, by their metric", () => {
    const text = lab("{}").replace(
      "    mptcp: {}",
      "    gateway: b\n    routes: [default via 10.0.2.2 dev eth1 metric 100]",
    );
    expect(parseLab(text).nodes[0]?.routes).toEqual([
      { to: "default", via: "10.0.2.2", dev: "eth1", metric: 100 },
      { to: "default", via: "10.0.1.2" },
      { to: "default", via: "fd00:0:1::2" },
    ]);
  });

  it("with what can't be is refused with the line", () => {
    for (const [mptcp, reason] of [
      ["{ endpoints: { eht1: subflow } }", /4:27: `a` has no interface `eht1` \(did you mean eth1\?\)/],
      ["{ endpoints: { eth1: both } }", /4:33: `both`: an endpoint is `subflow`, `signal`/],
      ["{ endpoints: { eth1: [signal, fullmesh] } }", /not both/],
      ["{ subflows: 9 }", /must be between 0 and 8, not 9/],
    ] as const) {
      expect(() => parseLab(lab(mptcp), "t.yml"), mptcp).toThrow(reason);
    }
  });
});
