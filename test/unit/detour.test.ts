// SPDX-License-Identifier: MIT
import { describe, expect, it } from "vitest";
import { XdpctlError } from "../../src/errors/index.js";
import { type Detour, DetourTable, DYNAMIC_PORTS } from "../../src/netlink/index.js";
import { decodeMproxy, encodeMproxy, type MproxyMessage } from "../../src/packet/index.js";

describe("MProxy", () => {
  const request: MproxyMessage = { op: "request", address: "130.104.230.45", port: 80, detourPort: 80 };

  it("has twelve bytes", () => {
    expect(encodeMproxy(request).toString("hex")).toBe("010000008268e62d00500050");
    expect(encodeMproxy({ ...request, op: "response" }).toString("hex")).toBe("010100008268e62d00500050");
    expect(encodeMproxy({ ...request, port: 65_535, detourPort: 0 }).toString("hex")).toBe("010000008268e62dffff0000");
    expect(decodeMproxy(Buffer.from("010000008268e62d00500050", "hex"))).toEqual(request);
    expect(decodeMproxy(Buffer.from("0101ffff8268e62d01bbc001", "hex"))).toEqual({
      ...{ op: "response", address: "130.104.230.45", port: 443, detourPort: 49_153 },
    });
  });

  it("is nothing with another length, version or op", () => {
    for (const hex of ["", "01", "010000008268e62d005000", "010000008268e62d0050005000"]) {
      expect(decodeMproxy(Buffer.from(hex, "hex")), hex).toBeUndefined();
    }
    expect(decodeMproxy(Buffer.from("020000008268e62d00500050", "hex"))).toBeUndefined();
    expect(decodeMproxy(Buffer.from("010200008268e62d00500050", "hex"))).toBeUndefined();
  });
});

describe("the table of detours", () => {
  const table = (options: { max?: number; reserved?: number[] } = {}) => {
    const made: Detour[] = [];
    const { max, reserved = [] } = options;
    const all = new DetourTable({
      add: (one) => made.push(one),
      isReserved: (port) => reserved.includes(port),
      ...(max === undefined ? {} : { max }),
    });
    const ask = (client: string, remote: string, wish = 0): number => {
      const [address = "", port] = remote.split(":");
      return all.find(client, address, Number(port), wish).detour.port;
    };
    return { made, all, ask };
  };
  const isDynamic = (port: number): boolean => port >= DYNAMIC_PORTS.first && port <= DYNAMIC_PORTS.last;

  it("answers the same question the same way, and makes it once", () => {
    const { made, all, ask } = table();
    expect(ask("10.0.0.1", "192.0.2.1:80", 80)).toBe(80);
    expect(ask("10.0.0.1", "192.0.2.1:80", 80)).toBe(80);
    expect(ask("10.0.0.1", "192.0.2.1:80", 9999)).toBe(80);
    expect(made).toEqual([{ client: "10.0.0.1", remote: "192.0.2.1", remotePort: 80, port: 80 }]);
    expect(all.size).toBe(1);
  });

  it("gives a free port for 0, for one that is taken, and for one that is reserved", () => {
    const { ask } = table({ reserved: [22] });
    expect(isDynamic(ask("10.0.0.1", "192.0.2.1:80"))).toBe(true);
    expect(ask("10.0.0.1", "192.0.2.2:80", 80)).toBe(80);
    expect(isDynamic(ask("10.0.0.1", "192.0.2.3:80", 80))).toBe(true);
    expect(isDynamic(ask("10.0.0.1", "192.0.2.4:22", 22))).toBe(true);
    // Another client's port 80 is another one.
    expect(ask("10.0.0.2", "192.0.2.9:80", 80)).toBe(80);
    const many = Array.from({ length: 200 }, (_, i) => ask("10.0.0.3", `192.0.2.1:${1000 + i}`));
    expect(new Set(many).size).toBe(200);
  });

  it("has a limit, and does not keep what the kernel refused", () => {
    const { ask, all } = table({ max: 1 });
    expect(ask("10.0.0.1", "192.0.2.1:80", 80)).toBe(80);
    expect(() => ask("10.0.0.1", "192.0.2.1:81", 81)).toThrow(
      expect.objectContaining({ code: "XDPCTL_E_MAP_FULL" }) as XdpctlError,
    );
    expect(ask("10.0.0.1", "192.0.2.1:80")).toBe(80);
    expect(all.size).toBe(1);
    const refusing = new DetourTable({
      add: () => {
        throw new XdpctlError("XDPCTL_E_NETLINK", "no");
      },
    });
    expect(() => refusing.find("10.0.0.1", "192.0.2.1", 80, 80)).toThrow("no");
    expect(refusing.size).toBe(0);
  });
});
