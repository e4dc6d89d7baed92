// SPDX-License-Identifier: MIT
import type { Command } from "commander";
import { PERF, UdpTemplate } from "../../packet/index.js";
import { type Frame, type FrameHandler, type Path, sendPaced, type Umem } from "../../xsk/index.js";
import { interfaceName, leaf, parser, usage } from "../command.js";
import type { Context } from "../context.js";
import { formatCompact, parseCount, parseDuration, parseRate } from "../quantities.js";
import { parsePort } from "../targets.js";
import { type Endpoint, LEAST_SIZE, MOST_SIZE, parseEndpoint, pathTo } from "./ends.js";
import { oneOf } from "./options.js";
import { type BareArguments, type BareOptions, type Bench, bareOptions, sendersFill, withSocket } from "./socket.js";
import { quantilesText, Timings } from "./timings.js";

interface SendArguments extends BareArguments {
  rate?: number;
  count?: number;
  for?: number;
  size: number;
  to?: Endpoint;
  mac?: string;
  sourcePort: number;
  checksum: "xdpctl" | "kernel" | "device";
  timestamps?: boolean;
}

/** Addresses for benchmarks (RFC 2544), which no host has: what is sent without `--to` is for whoever takes all. */
const NOWHERE = { dstMac: "02:00:00:00:00:02", src: "198.18.0.1", dst: "198.18.0.2" };
const DISCARD = 9;

/**
 * Writes the template into a frame the first time it is used, and a new number every time. `ask` is called before each is
 * sent.
 */
export function numbered(
  umem: Umem,
  template: UdpTemplate,
  ask?: (frame: Frame, number: number) => void,
): FrameHandler {
  const written = new Uint8Array(umem.frameCount);
  const { frameSize } = umem;
  const { length } = template;
  let number = 0;
  return (frame: Frame) => {
    const index = Math.floor(frame.first / frameSize);
    if (written[index] === 0) {
      template.write(frame.bytes, frame.start, number, PERF.PING);
      written[index] = 1;
    } else template.number(frame.bytes, frame.start, number, PERF.PING);
    frame.growTail(length);
    if (ask !== undefined) ask(frame, number);
    number = (number + 1) >>> 0;
    frame.send();
  };
}

/** Sends at a rate, and says what was sent. */
export async function sendAll(
  { nic, signal, say }: Bench,
  template: UdpTemplate,
  given: { rate?: number; count?: number; for?: number },
  { ask, timings }: { ask?: (frame: Frame, number: number) => void; timings?: Timings | undefined } = {},
): Promise<void> {
  const result = await sendPaced(nic, numbered(nic.umem, template, ask), {
    signal,
    ...(given.rate === undefined ? {} : { rate: given.rate }),
    ...(given.count === undefined ? {} : { count: given.count }),
    ...(given.for === undefined ? {} : { seconds: given.for }),
  });
  const { sent, seconds, rate } = result;
  const bits = rate * template.length * 8;
  const { completed } = nic.statistics;
  const late = completed === sent ? "" : `; ${sent - completed} of them still with the kernel`;
  const asked = given.rate === undefined ? "" : `, of ${formatCompact(given.rate)}/s asked for`;
  const times = timings?.quantiles;
  const transmitted =
    times === undefined ? "" : `\ntransmitted ${timings?.count}, after they were written: ${quantilesText(times)}`;
  say(
    `sent ${sent} ${sent === 1 ? "frame" : "frames"} of ${template.length} bytes in ${seconds.toFixed(3)} s: ${formatCompact(rate)}/s${asked}, ${formatCompact(bits)}bit/s${late}${transmitted}`,
    {
      sent,
      completed,
      size: template.length,
      seconds,
      rate,
      bitsPerSecond: bits,
      wanted: given.rate ?? null,
      ...(times === undefined ? {} : { timestamps: timings?.count, microseconds: times }),
      last: true,
    },
  );
}

export function registerSend(xsk: Command, context: Context): void {
  const command = leaf(xsk, "send", "send UDP frames at a rate, numbered; ends after --count or --for", [
    ["xdpctl xsk send veth0 --rate 100k --count 1m", "to nobody: for a program at the other end that takes all"],
    ["xdpctl xsk send eth0 --to 10.0.0.5:9000 --rate 10k --for 5s", "to a host; its MAC is asked from the kernel"],
    ["xdpctl xsk send eth0 --to 10.0.0.5:9 --count 1m --size 1514", "as fast as it goes"],
    ["xdpctl xsk send eth0 --to 10.0.0.5:9 --count 1k --rate 1k --timestamps", "how long the kernel took to send each"],
  ]);
  bareOptions(command.argument("<interface>", "where they leave", parser(interfaceName)))
    .option("--rate <rate>", "packets a second, such as 100k; as fast as it goes without", parser(parseRate))
    .option("-n, --count <n>", "end after N packets", (text) => parseCount("count", text))
    .option("--for <duration>", "end after this time", parser(parseDuration))
    .option(
      "--size <bytes>",
      "of a frame, without its check sequence",
      (text) => parseCount("size", text, LEAST_SIZE, MOST_SIZE),
      64,
    )
    .option("--to <address:port>", "where they go; 198.18.0.2:9 without", parser(parseEndpoint))
    .option("--mac <mac>", "MAC address of the next hop, where the kernel shall not be asked")
    .option("--source-port <port>", "where they come from", parser(parsePort), 10_000)
    .option(
      "--checksum <who>",
      "who makes the UDP checksum: xdpctl, kernel, or device (Linux 6.8)",
      oneOf("maker of checksums", ["xdpctl", "kernel", "device"]),
      "xdpctl",
    )
    .option("--timestamps", "ask the kernel when it has sent each (Linux 6.8)")
    .action(async (name: string, given: SendArguments) => {
      if (given.count === undefined && given.for === undefined)
        throw usage("a generator needs an end", "write --count N or --for DURATION");
      const path = given.to === undefined ? await nowhere(name, given.mac) : await pathTo(name, given.to, given.mac);
      const ends = { ...path, sport: given.sourcePort, dport: given.to?.port ?? DISCARD };
      const template = new UdpTemplate(ends, given.size);
      // It only sends: nothing is redirected, and few frames wait for what doesn't come.
      const options: BareOptions = { redirect: false, rings: { fill: sendersFill(given.frames) } };
      const requests = requestsOf(given);
      const { timings } = requests;
      if (requests.ask !== undefined) options.txMetadata = { softwareChecksum: given.checksum === "kernel" };
      if (timings !== undefined) options.onTimestamp = timings.note;
      await withSocket(context, name, given, options, (bench) => sendAll(bench, template, given, requests));
    });
}

/** What each packet asks for, and what becomes of the answers. */
function requestsOf({ checksum, timestamps, frames }: SendArguments) {
  const left = checksum !== "xdpctl";
  if (timestamps !== true) return left ? { ask: (frame: Frame) => void frame.requestChecksum() } : {};
  const timings = new Timings(frames);
  const ask = (frame: Frame, number: number): void => {
    if (left) frame.requestChecksum();
    timings.written(number);
    frame.requestTimestamp(number);
  };
  return { ask, timings };
}

async function nowhere(name: string, mac: string | undefined): Promise<Path> {
  const { openRoute } = await import("../../netlink/index.js");
  const route = openRoute();
  try {
    const srcMac = route.link(name)?.address || "02:00:00:00:00:01";
    return { ...NOWHERE, srcMac, ...(mac === undefined ? {} : { dstMac: mac }) };
  } finally {
    route.close();
  }
}
