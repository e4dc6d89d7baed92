// SPDX-License-Identifier: MIT
import { afterEach, describe, expect, it } from "vitest";
import {
  buildUdp,
  fragmentHeader,
  IP_PROTOCOL,
  parseEthernet,
  parseIPv4Packet,
  parseTcp,
  parseUdp,
  TCP_FLAG,
} from "../../src/packet/index.js";
import { type Answer, PacketPolicy } from "../fixtures/packets.js";
import { CLIENT_HELLO, DNS_QUERY_EDNS, HTTP_REQUEST } from "../fixtures/payloads.js";
import { Random } from "../fixtures/random.js";
import { expectRight } from "../fixtures/spans.js";
import { NETWORK, packetFrame, pingFrame, tcpFrame, udpFrame } from "../fixtures/talk.js";

const { SYN, ACK, RST, FIN, PSH } = TCP_FLAG;
const open: PacketPolicy[] = [];

afterEach(async () => {
  for (const policy of open.splice(0)) await policy[Symbol.asyncDispose]();
});

async function sample(name: string, ...args: string[]): Promise<PacketPolicy> {
  const policy = await PacketPolicy.sample(name, args);
  open.push(policy);
  return policy;
}

async function script(source: string): Promise<PacketPolicy> {
  const policy = await PacketPolicy.load(source);
  open.push(policy);
  return policy;
}

const segment = (dport: number, payload: string | Uint8Array = "", flags: number = ACK, sport = 40000): Uint8Array =>
  tcpFrame(4, { sport, dport, sequence: 1000, acknowledgment: 7, flags }, payload);
const request = (agent: string): string => `GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: ${agent}\r\n\r\n`;

function frameOf(answer: Answer | undefined): Uint8Array {
  if (!(answer instanceof Uint8Array)) throw new Error(`no reply: ${answer}`);
  expectRight(answer);
  return answer;
}
const ipOf = (frame: Uint8Array) => parseIPv4Packet(parseEthernet(frame)!.payload)!;

describe("fixed packets", () => {
  it("TCP to 80 drops, to 443 passes, from 1234 drops; UDP passes", async () => {
    const policy = await sample("packet-port");
    const frames = [segment(80), segment(443), segment(443, "", ACK, 1234), udpFrame(4, { sport: 1, dport: 80 }, "x")];
    expect(await policy.answers(...frames)).toEqual(["drop", "pass", "drop", "pass"]);
    expect(policy.filters).toEqual([
      { protocol: "tcp", port: 80, onError: "drop" },
      { protocol: "tcp", sourcePort: 1234, onError: "drop" },
    ]);
  });

  it("User-Agent curl/7.54.0 is reset, curl/7.55.0 passes", async () => {
    const policy = await sample("packet-agent");
    const [bad, good] = await policy.answers(segment(80, request("curl/7.54.0")), segment(80, request("curl/7.55.0")));
    expect(good).toBe("pass");
    expect(parseTcp(ipOf(frameOf(bad)).payload)).toMatchObject({ flags: RST | ACK, sequence: 7 });
  });

  it("the cookie, and the server name that is on the list, decide", async () => {
    const cookie = await sample("packet-cookie");
    const [withOne, without] = await cookie.answers(segment(80, HTTP_REQUEST), segment(80, request("x")));
    expect(withOne).toBe("pass");
    expect(without).toBeInstanceOf(Uint8Array);
    const sni = await sample("packet-sni");
    expect(await sni.answers(segment(443, CLIENT_HELLO))).toEqual(["pass"]);
    const name =
      Buffer.from(CLIENT_HELLO)
        .toString("latin1")
        .match(/test\.[a-z.]+/)?.[0] ?? "";
    const own = await PacketPolicy.load(
      `on("packet", { port = 443 }, function(p) return p:tls_sni() == "${name}" and "drop" end)`,
    );
    open.push(own);
    expect(await own.answers(segment(443, CLIENT_HELLO))).toEqual(["drop"]);
  });

  it("a DNS question for a known name gets one record of 16 bytes, others pass", async () => {
    const policy = await sample("packet-dns", "www.example.com=192.0.2.7");
    const question = udpFrame(4, { sport: 5353, dport: 53 }, DNS_QUERY_EDNS);
    const other = DNS_QUERY_EDNS.slice();
    other[13] = 0x78;
    const [known, unknown] = await policy.answers(question, udpFrame(4, { sport: 5353, dport: 53 }, other));
    expect(unknown).toBe("pass");
    await expect(PacketPolicy.sample("packet-dns", ["www.example=notanip"])).rejects.toMatchObject({
      message: expect.stringContaining("notanip is no IPv4 address") as unknown,
    });
    const { payload } = parseUdp(ipOf(frameOf(known)).payload)!;
    expect(Buffer.from(payload.subarray(2, 8)).toString("hex")).toBe("81a000010001");
    expect(Buffer.from(payload.subarray(-16)).toString("hex")).toBe("c00c0001000100000e100004c0000207");
  });

  it.each([
    ["data", ACK | PSH, 1000 + 3],
    ["a SYN", SYN, 1000 + 3 + 1],
    ["a FIN", FIN | ACK, 1000 + 3 + 1],
  ])("tcp_rst answers %s", async (_, flags, acknowledged) => {
    const policy = await script('on("packet", function(p) return p:tcp_rst() end)');
    const [answer] = await policy.answers(segment(80, "abc", flags));
    const packet = ipOf(frameOf(answer));
    expect(packet.payload).toHaveLength(20);
    expect(parseTcp(packet.payload)).toMatchObject({
      sport: 80,
      dport: 40000,
      sequence: (flags & ACK) === 0 ? 0 : 7,
      acknowledgment: acknowledged,
      flags: RST | ACK,
      window: 0,
    });
  });

  it("udp_reply turns everything around, and both lengths follow", async () => {
    const policy = await script('on("packet", function(p) return p:udp_reply("longer than before") end)');
    const asked = udpFrame(4, { sport: 1000, dport: 2000 }, "short");
    const answer = frameOf((await policy.answers(asked))[0]);
    const [before, after] = [parseEthernet(asked)!, parseEthernet(answer)!];
    expect([after.src, after.dst]).toEqual([before.dst, before.src]);
    expect([ipOf(answer).src, ipOf(answer).dst]).toEqual([ipOf(asked).dst, ipOf(asked).src]);
    expect(parseUdp(ipOf(answer).payload)).toMatchObject({ sport: 2000, dport: 1000 });
    expect(answer.length - asked.length).toBe("longer than before".length - "short".length);
  });
});

describe("what a hook can read", () => {
  it("fields, numbers in network order, nil out of range", async () => {
    const policy = await script(`on("packet", function(p)
      log("%s %d > %s %d %s %s %d %s", p.src, p.sport, p.dst, p.dport, p.proto, p.flags, p.length, p.interface)
      log("%d %d %d %d", p.network, p.transport, p.payload, p.payload_length)
      log("%x %x %x %s", p:u8(12), p:u16(12), p:u32(14), p:string(p.payload, 3))
      log("%s %s %s %s", p:u8(p.length), p:u16(p.length - 1), p:u32(-1), p:string(0, 5000))
      log("%x %x %s %s", unpack.int(p, 12, 2), unpack.int(p, 14, 1), unpack.string(p, p.payload, 2), unpack.int(p, 9999, 2))
      local ip = p:data(p.network, 20):layout(data.layout{ version = {0, 4}, ihl = {4, 4}, length = {16, 16, "net"}, odd = {16, 16} })
      log("%d %d %d %d %d", ip.version, ip.ihl, ip.length, ip.odd, #ip)
      local out = data.new(4):layout{ a = {0, 16, "net"}, b = {16, 16} }
      out.a, out.b = 0x6162, 0x6463
      log("%s %s", out, out:segment(2, 2))
    end)`);
    expect(await policy.answers(segment(80, "abc", ACK | PSH))).toEqual(["pass"]);
    await expect
      .poll(() => policy.said.log)
      .toEqual([
        "10.0.0.4 40000 > 10.0.0.5 80 tcp PA 57 lo",
        "14 34 54 3",
        "8 800 4500002b abc",
        "nil nil nil nil",
        "800 45 ab nil",
        `4 5 43 ${43 << 8} 20`,
        "abcd cd",
      ]);
    expect(policy.said.errors).toEqual([]);
  });

  it("filters by address and protocol, IPv6 too, and other frames than it asked for are left alone", async () => {
    const policy = await script(`
      on("packet", { from = "10.0.0.0/29", to = "10.0.0.5", protocol = "udp" }, function() return "drop" end)
      on("packet", { from = "2001:db8::/32", port = 7 }, function() return "drop" end)
      on("packet", { protocol = "icmp" }, function() return "drop" end)`);
    const ports = { sport: 1, dport: 7 };
    const frames = [
      udpFrame(4, ports, ""),
      udpFrame(6, ports, ""),
      udpFrame(6, { sport: 7, dport: 1 }, ""),
      segment(7),
    ];
    expect(await policy.answers(...frames, pingFrame(4, "x"), pingFrame(6, "x"))).toEqual([
      "drop",
      "drop",
      "pass",
      "pass",
      "drop",
      "pass",
    ]);
  });
});

describe("fragments", () => {
  const parts = (family: 4 | 6, port: number, size = 16): Uint8Array[] => {
    const whole = buildUdp({ sport: 1, dport: port }, NETWORK[family], new Uint8Array(size));
    return [whole.slice(0, 16), whole.slice(16)].map((part, i) =>
      family === 4
        ? packetFrame(4, IP_PROTOCOL.UDP, part, { ip: { fragmentOffset: i * 16, moreFragments: i === 0 } })
        : packetFrame(6, IP_PROTOCOL.UDP, part, { ip: { extensions: [fragmentHeader(i * 16, i === 0, 7)] } }),
    );
  };
  const atomic = (port: number): Uint8Array =>
    packetFrame(6, IP_PROTOCOL.UDP, buildUdp({ sport: 1, dport: port }, NETWORK[6], new Uint8Array(8)), {
      ip: { extensions: [fragmentHeader(0, false, 7)] },
    });

  it("the first has the ports, and is not answered; later ones have none", async () => {
    const policy = await script(`on("packet", { protocol = "udp", port = 9 }, function(p)
      log("%d %d %s %s %s", p.dport, p.payload_length, p:udp_reply("x"), p:meta(8), (p:dns_question()))
      return "drop"
    end)`);
    const frames = [...parts(4, 9), ...parts(6, 9), atomic(9), ...parts(4, 8), ...parts(6, 8), atomic(8)];
    const [first, later] = ["drop", "pass"];
    expect(await policy.answers(...frames)).toEqual([first, later, first, later, first, ...Array(5).fill("pass")]);
    await expect.poll(() => policy.said.log).toEqual(Array(3).fill("9 8 nil nil nil"));
    expect(policy.said.errors).toEqual([]);
  });
});

describe("several hooks", () => {
  it("a reply that a hook made and did not return is not the next one's", async () => {
    const policy = await script(`on("packet", function(p) p:udp_reply("one") return "pass" end)
      on("packet", function(p) return "reply" end)`);
    expect(await policy.answers(udpFrame(4, { sport: 1, dport: 2 }, "x"))).toEqual(["pass"]);
    await expect.poll(() => policy.said.errors.map((one) => one.message)).toHaveLength(1);
    expect(policy.said.errors[0]?.message).toContain("test.lua:2: there is no reply");
  });
});

describe("names and routes", () => {
  it("no two names of DNS are one text", async () => {
    const policy = await script('on("packet", function(p) log("%s", (p:dns_question())) end)');
    const label = (...bytes: number[]): number[] => [bytes.length, ...bytes];
    const asked = (...labels: number[][]): Uint8Array =>
      udpFrame(
        4,
        { sport: 1, dport: 53 },
        Uint8Array.from([0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...labels.flat(), 0, 0, 1, 0, 1]),
      );
    // A byte of 7 and the digit 0, one of 70 (F), a backslash and letters, and a dot in a label.
    await policy.answers(
      asked(label(7, 0x30)),
      asked(label(0x46)),
      asked(label(0x5c, 0x30, 0x30, 0x37, 0x30)),
      asked(label(0x61, 0x2e, 0x62), label(0x63)),
    );
    await expect.poll(() => policy.said.log).toEqual(["\\0070", "f", "\\\\0070", "a\\046b.c"]);
  });

  it("a route is for what fits, and has no VLAN tag", async () => {
    const policy = await script(`on("packet", function(p)
      local route = { ifindex = 7, dst_mac = "02:00:00:00:00:07", src_mac = "02:00:00:00:00:08", mtu = 100 }
      small = small or p:data()
      return p:redirect(route, p.sport == 2 and small or nil) or "drop" end)`);
    const frame = (sport: number, size: number, around = {}): Uint8Array =>
      udpFrame(4, { sport, dport: 9 }, "x".repeat(size), around);
    const answers = await policy.answers(
      frame(1, 72),
      frame(1, 73),
      frame(2, 73),
      frame(1, 10, { vlans: [{ id: 5 }] }),
    );
    expect(answers.map((one) => (one instanceof Uint8Array ? one.length : one))).toEqual([114, "drop", 114, "drop"]);
  });
});

describe("what goes wrong", () => {
  it.each([
    ['on("packet", { prot = 80 }, print)', "a packet filter has no prot (did you mean port?)"],
    ['on("packet", { port = 0 }, print)', "port is a port, 1 to 65535, not 0"],
    ['on("packet", { port = "80" }, print)', 'port is a port, 1 to 65535, not the text "80"'],
    ['on("packet", { 2 }, print)', "a packet filter's keys are names: interface"],
    ['on("packet", { [1.5] = 2, port = 1 }, print)', "a packet filter's keys are names: interface"],
    ['on("packet", { interface = "" }, print)', "interface is a text, not an empty text"],
    ['on("packet", { protocol = "tpc" }, print)', '"tpc" is none (did you mean tcp?)'],
    ['on("packet", { protocol = "icmp", port = 1 }, print)', "icmp has no ports"],
    ['on("packet", { from = "10.0.0.300" }, print)', "from: "],
    ['on("packet", { from = "10.0.0.3", to = "::1" }, print)', "from and to are of one family"],
    ['on("packet", { on_error = "fail" }, print)', 'on_error is "pass" or "drop"'],
    ['on("packet", { port = 80 })', "function expected"],
    ["data.layout{ a = { 3, 16 } }", "a field of several bytes is made of whole ones"],
  ])("refuses %s", async (source, message) => {
    await expect(PacketPolicy.load(source)).rejects.toMatchObject({
      code: "XDPCTL_E_LUA_RUNTIME",
      message: expect.stringContaining(message) as unknown,
    });
  });

  it.each([
    ["return p.nothing", "a packet has no nothing"],
    ["p.u8(1)", "call it with a colon: p:u8(…)"],
    ["p.sport = 1", "a packet can't be changed"],
    ['return "reply"', "there is no reply"],
    ["return 7", ":1: a packet hook answers pass, drop, reply"],
    ['return "redirect"', ":1: redirect where to?"],
    ['return "dorp"', ':1: "dorp" is no answer of a packet hook (did you mean drop?)'],
    ["kept = kept or p; coroutine.wrap(function() error('x') end)()", "x"],
    ["while true do end", "ran longer than 100 ms"],
  ])("a hook with `%s` gets the default", async (body, message) => {
    const policy = await script(`on("packet", { port = 1, on_error = "drop" }, function(p) ${body} end)
      on("packet", { port = 2 }, function(p) ${body} end)`);
    expect(await policy.answers(segment(1), segment(2), segment(3))).toEqual(["drop", "pass", "pass"]);
    await expect.poll(() => policy.said.errors.map((one) => one.message).join()).toContain(message);
  });

  it("a packet that was kept can't be read later; a worker that dies leaves the default", async () => {
    const policy = await script(`on("packet", { on_error = "drop" }, function(p)
      if p.dport == 1 then kept = p elseif p.dport == 2 then all = {} while true do all[#all + 1] = ("x"):rep(100000) .. #all end end
    end)
    on("flow", function() return kept.src end)`);
    expect(await policy.answers(segment(1))).toEqual(["pass"]);
    expect(await policy.answers(segment(2))).toEqual(["drop"]);
    await expect.poll(() => policy.said.errors.length).toBe(1);
    // It is started anew.
    await expect.poll(() => policy.policy.status().state, { timeout: 5000 }).toBe("running");
    expect(await policy.answers(segment(3))).toEqual(["pass"]);
  });

  it("frames in a packet's place: checksums are made, and garbage breaks nothing", async () => {
    const macs = '{ ifindex = 7, dst_mac = "02:00:00:00:00:07", src_mac = "02:00:00:00:00:08" }';
    const policy = await script(
      `on("packet", function(p)
        p:dns_record()
        if p.length < 14 then return "drop" end
        local d = p:data()
        if p.sport == 7 then d:segment(p.payload):layout{ a = {0, 8} }.a = 66 return p:send(d) end
        if p.sport == 8 then return p:redirect(${macs}) or "drop" end
        return p:redirect(${macs}, d) or p:send() end)`,
    );
    const sent = frameOf((await policy.answers(segment(80, "ab", ACK | PSH, 7)))[0]);
    expect(Buffer.from(parseTcp(ipOf(sent).payload)!.payload).toString()).toBe("Bb");
    const routed = frameOf((await policy.answers(segment(80, "ab", ACK | PSH, 8)))[0]);
    expect(Buffer.from(routed).toString("hex", 0, 12)).toBe("020000000007020000000008");
    expect(ipOf(routed).ttl).toBe(ipOf(sent).ttl - 1);
    const random = new Random(5);
    const good = [segment(443, CLIENT_HELLO, ACK, 9), udpFrame(6, { sport: 53, dport: 9 }, DNS_QUERY_EDNS)];
    for (let round = 0; round < 50; round++)
      await policy.answers(
        ...Array.from({ length: 100 }, () => {
          const frame = (good[random.between(0, 1)] as Uint8Array).slice(0, random.between(0, 200));
          for (let n = random.between(0, 4); n > 0 && frame.length > 0; n--)
            frame[random.between(0, frame.length - 1)] = random.between(0, 255);
          return frame;
        }),
      );
    expect(policy.said.errors).toEqual([]);
  });

  it("garbage never breaks it, and is answered by nothing", async () => {
    const policy = await script(
      'on("packet", function(p) p:http_header("x"); p:cookie("x"); p:tls_sni(); p:dns_question()\nreturn p:tcp_rst() or p:udp_reply("x") or p:dns_answer("1.2.3.4") or "drop" end)',
    );
    const good = [
      segment(80, HTTP_REQUEST),
      segment(443, CLIENT_HELLO),
      udpFrame(4, { sport: 9, dport: 53 }, DNS_QUERY_EDNS),
    ];
    const cut = good.flatMap((frame) => [0, 13, 14, 20, 33, 37, 41, 53, 60].map((n) => frame.slice(0, n)));
    for (const answer of await policy.answers(...cut)) expect(answer).toBe("drop");
    const random = new Random(4);
    const mutated = (): Uint8Array => {
      const frame = (good[random.between(0, good.length - 1)] as Uint8Array).slice();
      for (let n = random.between(1, 4); n > 0; n--)
        frame[random.between(0, frame.length - 1)] = random.between(0, 255);
      return random.between(0, 3) === 0 ? frame.slice(0, random.between(0, frame.length)) : frame;
    };
    for (let round = 0; round < 100; round++) {
      const answers = await policy.answers(...Array.from({ length: 100 }, mutated));
      for (const answer of answers) if (answer instanceof Uint8Array) expectRight(answer);
    }
    expect(policy.said.errors).toEqual([]);
  });
});
