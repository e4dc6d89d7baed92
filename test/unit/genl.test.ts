// SPDX-License-Identifier: MIT
import { describe, expect, it } from "vitest";
import { XdpctlError } from "../../src/errors/index.js";
import { DETOUR, ECHO, EchoClient, type Part } from "../../src/netlink/index.js";
import { decodeGeneric, genericBody } from "../../src/netlink/generic.js";
import { message, messages } from "../../src/netlink/message.js";
import { FakeEchoModule, genericMessage } from "../fixtures/genl.js";

const code = (body: () => unknown): string => {
  try {
    body();
  } catch (error) {
    if (XdpctlError.is(error)) return error.code;
    throw error;
  }
  return "nothing";
};

const bytes = (...parts: string[]): string => parts.join("");

/** A whole request, as it leaves: NLM_F_REQUEST | NLM_F_ACK, sequence number 7. */
const sent = (command: number, attributes: Part): string =>
  message(0x1f, 5, 7, genericBody({ version: 1, headerSize: 0 }, command, attributes)).toString("hex");
const REQUEST = bytes("1f00", "0500", "07000000", "00000000");

describe("the messages of ECHO", () => {
  it("are struct nlmsghdr, struct genlmsghdr, and the text with its NUL, padded to four bytes", () => {
    expect(sent(ECHO.commands.echo, ECHO.encode({ message: "hello" }))).toBe(
      // length 30 + 2 of padding; command 1, version 1, reserved; attribute: length 10, number 1
      bytes("20000000", REQUEST, "01010000", "0a000100", "68656c6c6f00", "0000"),
    );
    expect(sent(1, ECHO.encode({ message: "" }))).toBe(
      bytes("1c000000", REQUEST, "01010000", "05000100", "00", "000000"),
    );
    expect(sent(1, ECHO.encode({ message: "abc" }))).toBe(
      bytes("1c000000", REQUEST, "01010000", "08000100", "61626300"),
    );
  });

  it("are read: replies and events, one attribute after the other", () => {
    const event = Buffer.from(
      ["30000000", "1f00", "0000", "00000000", "00000000", "02010000"].join("") +
        ["07000100", "68690000", "08000200", "2a000000", "0c000300", "00ca9a3b00000000"].join(""),
      "hex",
    );
    const [one] = messages(event);
    if (one === undefined) throw new Error("no message");
    const read = decodeGeneric(one, 0);
    expect(read).toMatchObject({ command: ECHO.commands.event, version: 1 });
    expect(ECHO.decode(read)).toEqual({ message: "hi", seq: 42, time: 1_000_000_000n });
    expect(ECHO.decode(genericMessage(1, []))).toEqual({});
  });

  it("of another size than theirs are an error, and so is what can't be sent", () => {
    const short = genericMessage(2, [Buffer.from("06000200ffff0000", "hex")]);
    expect(code(() => ECHO.decode(short))).toBe("XDPCTL_E_NETLINK");
    expect(code(() => ECHO.encode({ message: "a\0b" }))).toBe("XDPCTL_E_USAGE");
    expect(code(() => ECHO.encode({ message: "x".repeat(65_531) }))).toBe("XDPCTL_E_USAGE");
    expect(code(() => ECHO.encode({ message: "x".repeat(65_530) }))).toBe("nothing");
    expect(code(() => ECHO.encode({ seq: -1 }))).toBe("XDPCTL_E_USAGE");
  });
});

describe("the messages of DETOUR", () => {
  it("have addresses and ports in network order, and IFNAME as text of up to 15 bytes", () => {
    const all = { detourIp: "192.0.2.1", detourPort: 45672, remoteIp: "130.104.230.45", remotePort: 80 };
    const body =
      ["08000100", "c0000201", "06000200", "b2680000"].join("") +
      ["08000300", "8268e62d", "06000400", "00500000"].join("");
    expect(sent(DETOUR.commands.add, DETOUR.encode(all))).toBe(bytes("34000000", REQUEST, "02010000", body));
    expect(DETOUR.decode(genericMessage(4, [Buffer.from(body, "hex")]))).toEqual(all);
    expect(sent(DETOUR.commands.add, DETOUR.encode({ ifname: "tun0" }))).toBe(
      bytes("20000000", REQUEST, "02010000", "09000500", "74756e3000", "000000"),
    );
    expect(Object.entries(DETOUR.commands)).toEqual([
      ["echo", 1],
      ["add", 2],
      ["del", 3],
      ["req", 4],
      ["stat", 5],
    ]);
    expect(code(() => DETOUR.encode({ ifname: "sixteen-letters-" }))).toBe("XDPCTL_E_USAGE");
    expect(code(() => DETOUR.encode({ remoteIp: "::1" }))).toBe("XDPCTL_E_USAGE");
    expect(code(() => DETOUR.encode({ remotePort: 65_536 }))).toBe("XDPCTL_E_USAGE");
  });
});

describe("the echo client (with a stand-in for the module)", () => {
  it("gives the kernel's text back, and finds a module again that was loaded anew", () => {
    const module = new FakeEchoModule();
    const client = new EchoClient("ECHO", module);
    expect(client.echo("hello")).toMatchObject({ text: "hello", microseconds: expect.any(Number) });
    expect(client.echo("")).toMatchObject({ text: "" });
    module.loaded = false;
    expect(code(() => client.echo("x"))).toBe("XDPCTL_E_NO_FAMILY");
    module.loaded = true;
    expect(client.echo("ä again").text).toBe("ä again");
    client.close();
    expect(module.closed).toBe(true);
  });

  it("says how to get the module", () => {
    const module = new FakeEchoModule();
    module.loaded = false;
    const remedy = (name: string): string => {
      try {
        new EchoClient(name, module).find();
      } catch (error) {
        return (error as XdpctlError).remedy;
      }
      return "";
    };
    expect(remedy("ECHO")).toContain("kmod/genl-echo");
    expect(remedy("OTHER")).not.toContain("kmod/genl-echo");
  });
});
