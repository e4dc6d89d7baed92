// SPDX-License-Identifier: MIT
import { afterEach, expect, test } from "vitest";
import { PACKET_VERDICT } from "../../src/policy/index.js";
import { Garbage } from "../fixtures/garbage.js";
import { refusal } from "../fixtures/judge.js";
import { PacketPolicy } from "../fixtures/packets.js";
import { CLIENT_HELLO, DNS_QUERY_EDNS, HTTP_REQUEST } from "../fixtures/payloads.js";
import { faultOf } from "../fixtures/spans.js";
import { tcpFrame, udpFrame } from "../fixtures/talk.js";

const FRAMES = 100_000;
const SEED = 81;
const tcp = (dport: number, payload: string | Uint8Array, flags = 0x18): Uint8Array =>
  tcpFrame(4, { sport: 40_000, dport, sequence: 1000, acknowledgment: 7, flags }, payload);
const NO_COOKIE = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

let policy: PacketPolicy | undefined;
afterEach(async () => {
  await policy?.[Symbol.asyncDispose]();
  policy = undefined;
});

/** What a sample is given, a frame that it acts on afterwards, and what it shall answer: the reply's length, or a verdict. */
const SAMPLES: [name: string, args: string[], frame: Uint8Array, answer: number | "drop" | "pass"][] = [
  ["packet-port", [], tcp(80, ""), "drop"],
  ["packet-agent", ["agents=curl/7.88.1"], tcp(80, HTTP_REQUEST), 54],
  ["packet-cookie", [], tcp(80, NO_COOKIE), 54],
  ["packet-sni", ["names=test.example"], tcp(443, CLIENT_HELLO), "drop"],
  ["packet-dns", ["www.example.com=192.0.2.7"], udpFrame(4, { sport: 5353, dport: 53 }, DNS_QUERY_EDNS), 91],
  ["packet-dump", [], tcp(80, HTTP_REQUEST), "pass"],
  ["packet-rate", ["rate=0"], tcp(80, "", 2), 54],
];

// By the way that a controller's frames take into the script's worker and back, without its sockets: those are in netns.
test.each(SAMPLES)(
  "%s: 100,000 hostile frames",
  async (name, args, good, expected) => {
    policy = await PacketPolicy.sample(name, args);
    const { feed, said } = policy;
    if (feed === undefined) throw new Error("no packet hook");
    const garbage = new Garbage(SEED);
    const asked: Uint8Array[] = [];
    let sent = 0;
    let answered = 0;
    let replies = 0;
    const deadline = performance.now() + 25_000;
    const answer = (verdict: number, n: number): void => {
      const frame = asked.shift() as Uint8Array;
      answered++;
      if (verdict !== PACKET_VERDICT.reply) return;
      replies++;
      const fault = refusal(frame) ?? faultOf(feed.ring.bytes.slice(feed.ring.start(n), feed.ring.end(n)));
      if (fault !== undefined)
        expect.fail(`seed ${SEED}: ${fault} in what answers ${Buffer.from(frame).toString("hex")}`);
    };
    while (answered < FRAMES) {
      for (; sent - answered < 512 && sent < FRAMES; sent++) {
        const frame = garbage.next();
        asked.push(frame);
        expect(feed.offer(frame, 0, frame.length, 1, 1, PACKET_VERDICT.pass)).toBe(0);
      }
      await new Promise((resolve) => setImmediate(resolve));
      feed.take(answer);
      if (performance.now() > deadline) expect.fail(`seed ${SEED}: ${answered} of ${FRAMES} answered`);
    }
    // The script has failed at none of them, and is still at work.
    expect(said.errors).toEqual([]);
    expect(policy.policy.status()).toMatchObject({ state: "running", lost: 0, lastError: null });
    const [last] = await policy.answers(good);
    expect(last instanceof Uint8Array ? last.length : last).toBe(expected);
    if (typeof expected === "number") expect(replies).toBeGreaterThan(0);
  },
  30_000,
);
