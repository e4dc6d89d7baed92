// SPDX-License-Identifier: MIT
import * as rt from "netlink/dist/rt/structs.js";
import { describe, expect, it } from "vitest";
import { XdpctlError } from "../../src/errors/index.js";
import { addressBody, decodeAddress, decodeRoute, routeBody } from "../../src/netlink/address.js";
import { bridgeBody, changeLinkBody, decodeLink, hardwareBytes, vethBody, xdpBody } from "../../src/netlink/link.js";
import { attributes, join, message, messages, type NetlinkMessage, type Part } from "../../src/netlink/message.js";
import { masqueradeTransaction } from "../../src/netlink/nftables.js";

const bytes = (part: Part): Buffer => join(part);
const received = (part: Part): NetlinkMessage => ({ type: 16, flags: 0, seq: 1, port: 0, data: bytes(part) });
const hex = (part: Part): string => bytes(part).toString("hex");

describe("messages", () => {
  it("have the header of netlink(7), and are padded", () => {
    expect(message(16, 5, 7, Buffer.from("abcde")).toString("hex")).toBe(
      "15000000" + "1000" + "0500" + "07000000" + "00000000" + "6162636465" + "000000",
    );
  });

  it("are read back as they were written, several in a datagram", () => {
    const two = Buffer.concat([message(16, 0, 1, Buffer.from("abc")), message(17, 2, 2, Buffer.from("defg"))]);
    expect(messages(two).map(({ type, seq, data }) => [type, seq, data.toString()])).toEqual([
      [16, 1, "abc"],
      [17, 2, "defg"],
    ]);
  });

  it("that are malformed are an error, never a crash or a loop", () => {
    let state = 1;
    const random = (): number => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      return state >>> 16;
    };
    const tried = { refused: 0, read: 0 };
    for (let i = 0; i < 20_000; i++) {
      const data = Buffer.from(Array.from({ length: random() % 96 }, () => random() & 0xff));
      // A small length at the start gets past the first check.
      if (data.length > 18 && i % 2 === 0) data.writeUInt16LE(random() % 40, 16);
      for (const read of [() => messages(data), () => attributes(data), () => decodeLink({ ...received([]), data })]) {
        try {
          read();
          tried.read++;
        } catch (error) {
          expect(XdpctlError.is(error, "XDPCTL_E_NETLINK")).toBe(true);
          tried.refused++;
        }
      }
    }
    expect(tried.refused).toBeGreaterThan(1000);
    expect(tried.read).toBeGreaterThan(1000);
  });
});

describe("link requests", () => {
  it("say what the netlink package reads in them", () => {
    const body = changeLinkBody(7, {
      name: "eth0",
      up: true,
      mtu: 1400,
      address: "02:00:00:00:00:01",
      master: 3,
      netns: 9,
    });
    const parsed = rt.parseLinkMessage(bytes(body));
    expect(parsed.data).toMatchObject({ index: 7, flags: { up: true } });
    expect(parsed.attrs).toMatchObject({ ifname: "eth0", mtu: 1400, master: 3, netNsFd: 9 });
    expect(parsed.attrs.address).toEqual(Buffer.from(hardwareBytes("02:00:00:00:00:01") ?? []));
  });

  it("make a veth pair with both ends in their namespaces", () => {
    const body = vethBody({ name: "a", index: 4, netns: 10, master: 2, up: true }, { name: "b", index: 5, netns: 11 });
    const outer = rt.parseLinkMessage(bytes(body));
    expect(outer.attrs).toMatchObject({ ifname: "a", netNsFd: 10, master: 2 });
    const info = attributes(outer.attrs.linkinfo as Buffer);
    expect(info.get(1)?.toString()).toBe("veth\0");
    const peer = attributes(info.get(2) as Buffer).get(1) as Buffer;
    const inner = rt.parseLinkMessage(peer);
    expect(inner.data.index).toBe(5);
    expect(inner.attrs).toMatchObject({ ifname: "b", netNsFd: 11 });
  });

  it("make a bridge without snooping", () => {
    const info = rt.parseLinkMessage(bytes(bridgeBody({ name: "br0", multicastSnooping: false }))).attrs.linkinfo;
    expect(attributes(attributes(info as Buffer).get(2) as Buffer).get(23)).toEqual(Buffer.of(0));
  });

  it("attach and detach programs", () => {
    // ifinfomsg, IFLA_XDP|NESTED { FD = -1, FLAGS = 4, EXPECTED_FD = 12 }
    expect(hex(xdpBody(3, -1, 4, 12))).toBe(
      "00000000" +
        "03000000" +
        "00000000" +
        "00000000" +
        "1c002b80" +
        "08000100ffffffff" +
        "0800030004000000" +
        "080008000c000000",
    );
  });

  it("are decoded with their program", () => {
    const xdp = Buffer.from("05000200010000000800040039000000" + "0800050039000000", "hex");
    const body = [changeLinkBody(3, { name: "eth0" }), Buffer.from([4 + xdp.length, 0, 43, 0]), xdp];
    expect(decodeLink(received(body))?.xdp).toEqual({
      mode: "native",
      progId: 57,
      nativeId: 57,
      genericId: 0,
      offloadedId: 0,
    });
  });
});

describe("addresses and routes", () => {
  it("say what the netlink package reads in them", () => {
    const four = rt.parseAddressMessage(bytes(addressBody(7, "192.0.2.1/24")));
    expect(four.data).toMatchObject({ prefixlen: 24, index: 7 });
    expect(four.attrs.local).toEqual(Buffer.of(192, 0, 2, 1));
    const route = rt.parseRouteMessage(bytes(routeBody({ to: "10.0.0.0/8", via: "192.0.2.9", index: 7 })));
    expect(route.data).toMatchObject({ dstLen: 8 });
    expect(route.attrs).toMatchObject({ oif: 7, gateway: Buffer.of(192, 0, 2, 9), dst: Buffer.of(10, 0, 0, 0) });
  });

  it("are read back as they were written", () => {
    expect(decodeAddress(received(addressBody(7, "2001:db8::1/64")))).toEqual({
      index: 7,
      address: "2001:db8::1",
      prefixLen: 64,
      family: 6,
    });
    expect(decodeRoute(received(routeBody({ to: "default", via: "2001:db8::2", metric: 3 })))).toEqual({
      to: "default",
      family: 6,
      via: "2001:db8::2",
      index: 0,
      metric: 3,
      protocol: 4,
    });
  });

  it.each(["1.2.3.4/33", "nothing", "1.2.3.4/x", "::1/129", "1.2.3.4/24/8"])("refuse `%s`", (text) => {
    expect(() => addressBody(1, text)).toThrow(XdpctlError);
  });

  it("refuse a next hop of the other family", () => {
    expect(() => routeBody({ to: "10.0.0.0/8", via: "2001:db8::1" })).toThrow("another family");
  });
});

describe("masquerading", () => {
  it("is one transaction: begin, an empty table, chain, rules, end", () => {
    const types = (text: Buffer): number[] => messages(text).map((one) => one.type);
    const table = (10 << 8) | 0;
    expect(types(masqueradeTransaction({ table: "t", interfaces: ["a", "b"] }))).toEqual([
      0x10,
      table,
      table + 2,
      table,
      table + 3,
      table + 6,
      table + 6,
      0x11,
    ]);
    expect(types(masqueradeTransaction({ table: "t", interfaces: [] }))).toEqual([0x10, table, table + 2, 0x11]);
  });
});
