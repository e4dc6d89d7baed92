// SPDX-License-Identifier: MIT
import type { Command } from "commander";
import { readPerf, UdpTemplate } from "../../packet/index.js";
import { interfaceName, leaf, parser, usage } from "../command.js";
import type { Context } from "../context.js";
import { parseCount, parseDuration, parseRate } from "../quantities.js";
import { parsePort } from "../targets.js";
import { type Endpoint, LEAST_SIZE, MOST_SIZE, parseEndpoint, pathTo } from "./ends.js";
import { sendAll } from "./send.js";
import { needsEnd } from "./options.js";
import { type BareArguments, bareOptions, withSocket } from "./socket.js";

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
      const template = new UdpTemplate({ ...path, sport, dport: to.port }, given.size);
      await withSocket(context, name, given, { redirect: false, rings: { fill: 64 } }, (bench) =>
        sendAll(bench, template, given),
      );
    });
}

async function count(context: Context, name: string, given: ThroughputArguments, port: number): Promise<void> {
  needsEnd(context, given);
  await withSocket(context, name, given, { filter: { protocol: "udp", port } }, async ({ nic, signal, say }) => {
    const header = { number: 0, operation: 0 };
    const left = given.count ?? Number.POSITIVE_INFINITY;
    let packets = 0;
    let bytes = 0;
    let next = 0;
    let missing = 0;
    let late = 0;
    const started = performance.now();
    let second = 0;
    let before = { packets: 0, bytes: 0, at: started };
    const tick = setInterval(() => {
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
        if (packets >= left || !readPerf(frame, port, header)) return;
        packets++;
        bytes += frame.end - frame.start;
        const { number } = header;
        // A sender that begins anew begins at 0.
        if (number === 0) next = 0;
        if (number >= next) {
          missing += number - next;
          next = number + 1;
        } else late++;
        if (packets >= left) nic.stop();
      },
      { wait: "poll", signal },
    );
    clearInterval(tick);
    clearTimeout(end);
    const seconds = (performance.now() - started) / 1000;
    const lost = Math.max(0, missing - late);
    say(`${packets} packets, ${bytes} bytes in ${seconds.toFixed(3)} s; ${lost} missing, ${late} out of order`, {
      packets,
      bytes,
      seconds,
      missing: lost,
      outOfOrder: late,
      last: true,
    });
  });
}
