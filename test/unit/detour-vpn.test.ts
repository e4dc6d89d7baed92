// SPDX-License-Identifier: MIT
import { describe, expect, it } from "vitest";
import { OpenVpnReader, type OpenVpnReport } from "../../src/cli/mptcp/openvpn-reader.js";
import { parseVpnNetwork } from "../../src/cli/mptcp/vpn-server.js";
import { parseWay } from "../../src/cli/mptcp/way.js";

/** What is reported, when it comes in pieces of `size` characters. */
function read(text: string, size: number): OpenVpnReport[] {
  const found: OpenVpnReport[] = [];
  const reader = new OpenVpnReader((one) => found.push(one));
  for (let at = 0; at < text.length; at += size) reader.read(text.slice(at, at + size));
  return found;
}

describe("what OpenVPN says of itself", () => {
  const text = [
    ">INFO:OpenVPN Management Interface Version 5 -- type 'help' for more info",
    "SUCCESS: real-time state notification set to ON",
    ">STATE:1700000000,ASSIGN_IP,,10.8.0.4,,,,",
    ">UPDOWN:UP",
    ">UPDOWN:ENV,dev=tun0",
    ">UPDOWN:ENV,daemon_pid=",
    ">STATE:1700000001,CONNECTED,SUCCESS,10.8.0.4,10.0.5.2,1194,,",
    ">UPDOWN:ENV,ifconfig_local=10.8.0.4",
    ">UPDOWN:ENV,END",
    ">CLIENT:ADDRESS,0,10.8.0.4,1",
    ">CLIENT:DISCONNECT,0",
    ">CLIENT:ENV,time=a=b,c",
    ">CLIENT:ENV,END",
    "",
  ].join("\r\n");

  it("is read whole, whatever the pieces that it comes in", () => {
    for (const size of [1, 7, 64, text.length]) {
      const found = read(text, size);
      expect(found.map(({ kind, words }) => `${kind} ${words.slice(0, 2)}`)).toEqual([
        "INFO OpenVPN Management Interface Version 5 -- type 'help' for more info",
        "STATE 1700000000,ASSIGN_IP",
        "STATE 1700000001,CONNECTED",
        "UPDOWN UP",
        "CLIENT ADDRESS,0",
        "CLIENT DISCONNECT,0",
      ]);
      expect([...(found[3]?.env ?? [])]).toEqual([
        ["dev", "tun0"],
        ["daemon_pid", ""],
        ["ifconfig_local", "10.8.0.4"],
      ]);
      expect(found[5]?.env.get("time")).toBe("a=b,c");
    }
  });
});

describe("on a command line", () => {
  it("a detour is an address, with `vpn:` in front, and a port then", () => {
    expect(parseWay("10.9.0.30")).toMatchObject({ kind: "nat", host: "10.9.0.30" });
    expect(parseWay("vpn:10.9.0.30")).toMatchObject({ kind: "vpn", host: "10.9.0.30", port: 1194 });
    expect(parseWay("vpn:10.9.0.30:443")).toMatchObject({ name: "vpn:10.9.0.30:443", port: 443 });
    for (const word of [
      "",
      "vpn:",
      "server",
      "10.9.0.30:80",
      "vpn:::1",
      "vpn:10.9.0.30:0",
      "vpn:10.9.0.30:",
      "nat:10.9.0.30",
    ]) {
      expect(() => parseWay(word), word).toThrow();
    }
  });

  it("a VPN's network is one, of a size that OpenVPN takes", () => {
    expect(parseVpnNetwork("10.8.0.0/24")).toEqual({ address: "10.8.0.0", prefix: 24 });
    expect(parseVpnNetwork("172.16.0.0/16")).toEqual({ address: "172.16.0.0", prefix: 16 });
    expect(() => parseVpnNetwork("10.8.0.1/24")).toThrow("10.8.0.1/24 is an address in a network");
    for (const text of [
      "10.8.0.0",
      "10.8.0.0/",
      "10.8.0.0/15",
      "10.8.0.0/30",
      "10.8.0/24",
      "fd00::/64",
      "10.8.0.0/24/24",
    ]) {
      expect(() => parseVpnNetwork(text), text).toThrow("is no network of a VPN");
    }
  });
});
