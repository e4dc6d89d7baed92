// SPDX-License-Identifier: MIT
import { randomBytes } from "node:crypto";
import type { Command } from "commander";
import { PERF, readRun, UdpTemplate } from "../../packet/index.js";
import type { Frame } from "../../xsk/index.js";
import { interfaceName, leaf, parser, usage } from "../command.js";
import type { Context } from "../context.js";
import { parseCount, parseDuration, parseRate } from "../quantities.js";
import { parsePort } from "../targets.js";
import { type Endpoint, LEAST_SIZE, MOST_SIZE, parseEndpoint, pathTo } from "./ends.js";
import { sendAll } from "./send.js";
import { needsEnd } from "./options.js";
import { type BareArguments, bareOptions, sendersFill, withSocket } from "./socket.js";

interface ThroughputArguments extends BareArguments {
  listen?: number;
  to?: Endpoint;
  mac?: string;
  rate?: number;
  count?: number;
  for?: number;
  size: number;
}

export function registerThroughput(xsk: Command, context: Context): void {
  const command = leaf(xsk, "throughput", "flood UDP frames, and count what arrives, each second", [
    ["xdpctl xsk throughput veth1 --listen 9000", "one side counts, until Ctrl-C"],
    ["xdpctl xsk throughput veth0 --to 10.0.0.5:9000 --for 10s", "the other side sends as fast as it goes"],
    ["xdpctl xsk throughput veth1 --listen 9000 --for 10s --json", "one object a second, and one at the end"],
  ]);
  bareOptions(command.argument("<interface>", "where they leave, or come in", parser(interfaceName)))
    .option("--to <address:port>", "where they go", parser(parseEndpoint))
    .option("--listen <port>", "count what comes to this port", parser(parsePort))
    .option("--mac <mac>", "MAC address of the next hop, where the kernel shall not be asked")
    .option("--rate <rate>", "packets a second; as fast as it goes without", parser(parseRate))
    .option("-n, --count <n>", "end after N packets", (text) => parseCount("count", text))
    .option("--for <duration>", "end after this time", parser(parseDuration))
    .option("--size <bytes>", "of a frame", (text) => parseCount("size", text, LEAST_SIZE, MOST_SIZE), 64)
    .action(async (name: string, given: ThroughputArguments) => {
      if ((given.listen === undefined) === (given.to === undefined))
        throw usage("one side listens, the other sends", "write --listen PORT, or --to ADDRESS:PORT");
      if (given.listen !== undefined) return count(context, name, given, given.listen);
      if (given.count === undefined && given.for === undefined)
        throw usage("a flood needs an end", "write --count N or --for DURATION");
      const to = given.to as Endpoint;
      const path = await pathTo(name, to, given.mac);
      const sport = to.port === 65_535 ? to.port - 1 : to.port + 1;
      const template = new UdpTemplate({ ...path, sport, dport: to.port }, given.size, randomBytes(4).readUInt32BE());
      const rings = { fill: sendersFill(given.frames) };
      await withSocket(context, name, given, { redirect: false, rings }, (bench) => sendAll(bench, template, given));
    });
}

/** The numbers of one run that have come. */
interface Run {
  next: number;
  missing: number;
  late: number;
}

/** More senders than these are nobody that we know. */
const MOST_RUNS = 64;

/** Counts what the runs that send here have sent, each known by its token; all else that comes is foreign. */
class Arrivals {
  packets = 0;
  bytes = 0;
  foreign = 0;
  readonly #runs = new Map<number, Run>();
  readonly #header = { number: 0, operation: 0, token: 0 };
  #token = -1;
  #run: Run = { next: 0, missing: 0, late: 0 };

  take(frame: Frame, port: number): void {
    const header = this.#header;
    if (!readRun(frame, port, header) || header.operation !== PERF.PING || !this.#of(header.token)) {
      this.foreign++;
      return;
    }
    this.packets++;
    this.bytes += frame.end - frame.start;
    const run = this.#run;
    const { number } = header;
    if (number >= run.next) {
      run.missing += number - run.next;
      run.next = number + 1;
    } else run.late++;
  }

  #of(token: number): boolean {
    if (token === this.#token) return true;
    let run = this.#runs.get(token);
    if (run === undefined) {
      if (this.#runs.size === MOST_RUNS) return false;
      run = { next: 0, missing: 0, late: 0 };
      this.#runs.set(token, run);
    }
    this.#token = token;
    this.#run = run;
    return true;
  }

  get gaps(): { missing: number; outOfOrder: number } {
    let missing = 0;
    let outOfOrder = 0;
    for (const run of this.#runs.values()) {
      missing += Math.max(0, run.missing - run.late);
      outOfOrder += run.late;
    }
    return { missing, outOfOrder };
  }
}

async function count(context: Context, name: string, given: ThroughputArguments, port: number): Promise<void> {
  needsEnd(context, given);
  await withSocket(context, name, given, { filter: { protocol: "udp", port } }, async ({ nic, signal, say }) => {
    const arrivals = new Arrivals();
    const most = given.count ?? Number.POSITIVE_INFINITY;
    const started = performance.now();
    let second = 0;
    let before = { packets: 0, bytes: 0, at: started };
    const tick = setInterval(() => {
      const { packets, bytes } = arrivals;
      const now = performance.now();
      const seconds = (now - before.at) / 1000;
      const pps = Math.round((packets - before.packets) / seconds);
      const bps = Math.round((8 * (bytes - before.bytes)) / seconds);
      second++;
      say(`${second}s: ${pps} pps ${bps} bps`, { second, pps, bps });
      before = { packets, bytes, at: now };
    }, 1000);
    const end = given.for === undefined ? undefined : setTimeout(() => nic.stop(), 1000 * given.for);
    await nic.serve(
      (frame) => {
        if (arrivals.packets >= most) return;
        arrivals.take(frame, port);
        if (arrivals.packets >= most) nic.stop();
      },
      { wait: "poll", signal },
    );
    clearInterval(tick);
    clearTimeout(end);
    const seconds = (performance.now() - started) / 1000;
    const { packets, bytes, foreign } = arrivals;
    const { missing, outOfOrder } = arrivals.gaps;
    const more = foreign === 0 ? "" : `; ${foreign} foreign`;
    say(
      `${packets} packets, ${bytes} bytes in ${seconds.toFixed(3)} s; ${missing} missing, ${outOfOrder} out of order${more}`,
      { packets, bytes, seconds, missing, outOfOrder, foreign, last: true },
    );
  });
}
