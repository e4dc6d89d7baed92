// SPDX-License-Identifier: MIT
import { describe, expect, it } from "vitest";
import { XdpctlError } from "../../src/errors/index.js";
import { IMPAIRMENT_KEYS, type ImpairmentKey, impairmentText, parseImpairment, parseLab } from "../../src/lab/index.js";
import { join, message, messages } from "../../src/netlink/message.js";
import { decodeQdisc, QDISC_ROOT, qdiscRequests } from "../../src/netlink/qdisc.js";

const PLACE = { index: 7, parent: QDISC_ROOT, handle: 0xd9c0_0000 };
const HEADER = "00000000" + "07000000" + "0000c0d9" + "ffffffff" + "00000000";

describe("queueing disciplines", () => {
  it("tbf: the bytes for 10 Mbit/s", () => {
    const { type, flags, body } = qdiscRequests.tbf(PLACE, { rate: 10e6, burst: 3036, limit: 65536 }, false, "t");
    expect([type, flags]).toEqual([36, 0x600]);
    const parms = "00010000" + "00000000" + "d0121300" + "00".repeat(12) + "00000100" + "00".repeat(8);
    expect(join(body).toString("hex")).toBe(`${HEADER}08000100746266003400028028000100${parms}08000600dc0b0000`);
  });

  it("netem: the bytes that tc(8) sends for delay 50ms 5ms loss 0.5% limit 1000, and none of the rest; read back", () => {
    const none = { duplicate: 0, corrupt: 0, reorder: 0, jitterCorrelation: 0, lossCorrelation: 0 };
    const netem = { delay: 50_000, jitter: 5000, loss: 0.5, limit: 1000, ...none };
    const { body, flags } = qdiscRequests.netem(PLACE, netem, true, "t");
    expect(flags).toBe(0x500);
    const options = "c2eb0b00" + "e8030000" + "14ae4701" + "00".repeat(8) + "2d310100";
    const zeros = (words: number): string => "00000000".repeat(words);
    const rest = `10000100${zeros(3)}0c000300${zeros(2)}0c000400${zeros(2)}`;
    expect(join(body).toString("hex").slice(HEADER.length)).toBe(`0a0001006e6574656d00000044000200${options}${rest}`);
    const [read] = messages(message(36, 0, 1, body));
    expect(decodeQdisc(read as NonNullable<typeof read>)).toMatchObject({ ...PLACE, kind: "netem", netem });
  });

  it("netem: all that it does, where tc(8) has it", () => {
    const shares = { loss: 1, lossCorrelation: 25, duplicate: 2, corrupt: 0.1, reorder: 50, jitterCorrelation: 10 };
    const netem = { delay: 20_000, jitter: 2000, limit: 1000, ...shares };
    const { body } = qdiscRequests.netem(PLACE, netem, false, "t");
    const [read] = messages(message(36, 0, 1, body));
    expect(decodeQdisc(read as NonNullable<typeof read>)?.netem).toEqual(netem);
    const correlations = "9a999919" + "00000040" + "00000000";
    expect(join(body).toString("hex")).toContain(`10000100${correlations}0c0003000000008000000000`);
  });
});

describe("settings", () => {
  it("are read with their units, and written as they are read", () => {
    const cases: [ImpairmentKey, string, number][] = [
      ["rate", "10mbit", 10e6],
      ["rate", "1.5Mbit/s", 1.5e6],
      ["rate", "64kbit", 64_000],
      ["rate", "8000", 8000],
      ["delay", "20ms", 20_000],
      ["jitter", "500us", 500],
      ["delay", "1.5s", 1.5e6],
      ["loss", "0.5%", 0.5],
      ["jitter-correlation", "10%", 10],
      ["loss-correlation", "25%", 25],
      ["duplicate", "0.1%", 0.1],
      ["corrupt", "1%", 1],
      ["reorder", "50%", 50],
      ["loss", "1", 1],
      ["limit", "64k", 65_536],
      ["burst", "3036", 3036],
    ];
    expect(new Set(cases.map(([key]) => key))).toEqual(new Set(IMPAIRMENT_KEYS));
    for (const [key, text, value] of cases) {
      expect(parseImpairment(key, text), text).toBe(value);
      expect(parseImpairment(key, impairmentText(key, value)), text).toBe(value);
    }
    expect(parseImpairment("rate", "none")).toBeUndefined();
  });

  it("that are none are an error that shows how they are written", () => {
    for (const [key, text, shape] of [
      ["rate", "10mbps", "10mbit"],
      ["rate", "0", "8kbit"],
      ["delay", "20", "20ms"],
      ["delay", "1h", "20ms"],
      ["loss", "101%", "100%"],
      ["loss-correlation", "half", "0.5%"],
      ["burst", "-1", "16k"],
      ["limit", "9999999999", "64k"],
    ] as const) {
      expect(() => parseImpairment(key, text), text).toThrow(shape);
    }
  });
});

describe("a lab file", () => {
  const lab = (impair: string, more = ""): string =>
    `name: t\nnodes:\n  a:\n  b:\nlinks:\n  - endpoints: [a:eth0, b:eth0]\n    impair: ${impair}\n${more}`;

  it("impairs both directions, and one end on top of it", () => {
    expect(parseLab(lab("{ rate: 10mbit, limit: 64k }")).links[0]?.impair).toEqual([
      { rate: 10e6, limit: 65_536 },
      { rate: 10e6, limit: 65_536 },
    ]);
    const ends = `name: t\nnodes: { a: , b: }\nlinks:\n  - endpoints: [{ node: a, interface: eth0, impair: { rate: 1mbit } }, "b:eth0"]\n    impair: { rate: 5mbit, delay: 10ms, optional: true }\n`;
    expect(parseLab(ends).links[0]?.impair).toEqual([
      { rate: 1e6, delay: 10_000, optional: true },
      { rate: 5e6, delay: 10_000, optional: true },
    ]);
    expect(parseLab(lab("{}")).links[0]).not.toHaveProperty("impair");
  });

  it("with settings that can't be, or don't go together, is refused with the line", () => {
    for (const [impair, reason] of [
      ["{ rate: fast }", /7:21: `fast`: a rate is written as 10mbit/],
      ["{ jitter: 5ms }", /7:5: jitter needs a delay that it varies/],
      ["{ delay: 5ms, jitter: 6ms }", /7:5: the jitter is more than the delay/],
      ["{ loss-correlation: 25% }", /7:5: loss-correlation belongs to a loss, and there is none/],
      ["{ delay: 5ms, jitter-correlation: 25% }", /7:5: jitter-correlation belongs to a jitter/],
      ["{ reorder: 25% }", /7:5: reorder needs a delay/],
      ["{ limit: 64k }", /7:5: limit belongs to a rate/],
      ["{ rate: 1mbit, burst: 1000 }", /7:5: a burst of 1000 bytes lets no packet of the mtu 1500 through/],
      ["{ rte: 1mbit }", /has no setting `rte` \(did you mean rate\?\)/],
      ["{ loss: 0.5 }", /`links.0.impair.loss` must be text or a whole number, not a number/],
    ] as const) {
      try {
        parseLab(lab(impair), "t.yml");
        expect.unreachable(impair);
      } catch (error) {
        expect(XdpctlError.is(error, "XDPCTL_E_LAB_FILE"), String(error)).toBe(true);
        expect((error as Error).message).toMatch(reason);
      }
    }
  });
});
