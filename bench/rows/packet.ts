// SPDX-License-Identifier: MIT
import {
  BufferSpan,
  buildEthernet,
  buildIPv4Packet,
  buildTcp,
  buildUdp,
  clampMss,
  EchoHost,
  ETHERTYPE,
  EthernetView,
  FlowView,
  IP_PROTOCOL,
  IPv4View,
  parseAddress,
  resetSender,
  TCP_FLAG,
  WordChange,
} from "../../src/packet/index.js";
import { median } from "../legs.js";
import type { Benchmark, Row } from "../row.js";

const HOST = { mac: "02:00:00:00:00:05", address: "10.0.0.5" };
const addresses = { src: parseAddress("10.0.0.4").bytes, dst: parseAddress(HOST.address).bytes };
/** Frames that lie in one buffer as in a UMEM, each in a chunk of its own. */
const CHUNK = 2048;
const COUNT = 1024;

function frame(protocol: number, payload: Uint8Array): Uint8Array {
  const macs = { dst: HOST.mac, src: "02:00:00:00:00:04", etherType: ETHERTYPE.IPV4 };
  return buildEthernet(macs, buildIPv4Packet({ ...addresses, protocol }, payload));
}

const udp = (dport: number, payload: Uint8Array): Uint8Array =>
  frame(IP_PROTOCOL.UDP, buildUdp({ sport: 4242, dport }, addresses, payload));

/** A frame in a buffer of many, all chunks alike. */
class Chunks {
  readonly bytes = new Uint8Array(CHUNK * COUNT);
  readonly spans: readonly BufferSpan[];
  readonly #frame: Uint8Array;

  constructor(frame: Uint8Array) {
    this.#frame = frame;
    this.spans = Array.from({ length: COUNT }, (_, i) => new BufferSpan(this.bytes, i * CHUNK, (i + 1) * CHUNK));
    this.fill();
  }

  fill(): void {
    for (const span of this.spans) span.load(this.#frame, 256);
  }
}

/** Nanoseconds a packet: `act` on all chunks again and again; it must give true each time. */
function measure(
  chunks: Chunks,
  act: (span: BufferSpan) => boolean,
  { quick, anew }: { quick: boolean; anew: boolean },
) {
  const rounds = quick ? 20 : 200;
  const leg = (): number => {
    let elapsed = 0;
    for (let round = 0; round < rounds; round++) {
      if (anew) chunks.fill();
      const started = process.hrtime.bigint();
      for (const span of chunks.spans) if (!act(span)) throw new Error("a packet was not taken");
      elapsed += Number(process.hrtime.bigint() - started);
    }
    return elapsed / rounds / COUNT;
  };
  leg();
  return median(Array.from({ length: quick ? 3 : 9 }, leg));
}

/** What the packet work of the AF_XDP programs costs by itself, without a socket. */
export const packet: Benchmark = async ({ quick }) => {
  const ethernet = new EthernetView();
  const ipv4 = new IPv4View();
  const flow = new FlowView();
  const host = new EchoHost({ mac: HOST.mac, addresses: [HOST.address] });
  const change = new WordChange({ from: "apple", to: "watermelon" });
  const small = new Chunks(udp(7, new Uint8Array(18)));
  const large = new Chunks(udp(7, new Uint8Array(1458)));
  const words = new Chunks(udp(4242, new TextEncoder().encode("apple pie, apple")));
  const options = Uint8Array.of(2, 4, 5, 180);
  const syn = new Chunks(
    frame(IP_PROTOCOL.TCP, buildTcp({ sport: 1, dport: 2, flags: TCP_FLAG.SYN, options }, addresses)),
  );
  const segment = new Chunks(
    frame(IP_PROTOCOL.TCP, buildTcp({ sport: 1, dport: 80, flags: TCP_FLAG.ACK }, addresses, new Uint8Array(100))),
  );
  let sum = 0;
  const swapMacs = ({ bytes, start, end }: BufferSpan): boolean => {
    if (!ethernet.at(bytes, start, end)) return false;
    ethernet.swapMacs();
    return true;
  };
  const checksum = ({ bytes, start, end }: BufferSpan): boolean =>
    ipv4.at(bytes, start + 14, end) && ipv4.checksumValid;
  const fiveTuple = ({ bytes, start, end }: BufferSpan): boolean => {
    if (!flow.at(bytes, start, end)) return false;
    sum = (sum + flow.hash()) | 0;
    return true;
  };
  const echo = (span: BufferSpan): boolean => host.answer(span);
  const cases: [what: string, chunks: Chunks, act: (span: BufferSpan) => boolean, anew: boolean][] = [
    ["MAC addresses swapped", small, swapMacs, false],
    ["IPv4 header checksum verified", small, checksum, false],
    ["five-tuple read and hashed", small, fiveTuple, false],
    ["UDP echo, 60 bytes: verified and answered", small, echo, true],
    ["UDP echo, 1,500 bytes: verified and answered", large, echo, true],
    ["two words changed, the datagram grows", words, (span) => change.apply(span) === 2, true],
    ["MSS of a SYN clamped", syn, (span) => clampMss(span, 1400), true],
    ["RST made of a segment of 100 bytes", segment, (span) => resetSender(span, span), true],
  ];
  const rows = cases.map(([what, chunks, act, anew]): Row => {
    chunks.fill();
    const ns = measure(chunks, act, { quick, anew });
    return {
      what: `in place: ${what}`,
      xdpctl: `${ns.toFixed(1)} ns/packet`,
      beside: "",
      ratio: "",
      wanted: "",
      ok: true,
      note: `${COUNT} chunks of ${CHUNK} bytes`,
    };
  });
  if (Number.isNaN(sum)) throw new Error("unreachable: the sum keeps the hashes alive");
  return rows;
};
