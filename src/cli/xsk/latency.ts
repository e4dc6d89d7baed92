// SPDX-License-Identifier: MIT
import type { Command } from "commander";
import { XdpctlError } from "../../errors/index.js";
import { answerPing, PERF, readPerf, UdpTemplate } from "../../packet/index.js";
import { interfaceName, leaf, parser, usage } from "../command.js";
import type { Context } from "../context.js";
import { parseCount, parseDuration } from "../quantities.js";
import { parsePort } from "../targets.js";
import { type Endpoint, LEAST_SIZE, MOST_SIZE, parseEndpoint, pathTo } from "./ends.js";
import { needsEnd } from "./options.js";
import { type BareArguments, type BareOptions, type Bench, bareOptions, withSocket } from "./socket.js";
import { quantiles, quantilesText, Timings } from "./timings.js";

interface LatencyArguments extends BareArguments {
  listen?: number;
  to?: Endpoint;
  mac?: string;
  count?: number;
  for?: number;
  interval: number;
  size: number;
  wait: "poll" | "spin";
  timestamps?: boolean;
}

/** A round trip that takes longer is lost. */
const PATIENCE_MS = 1000;
/** How often somebody who doesn't answer is greeted. */
const GREETING_MS = 100;

export function registerLatency(xsk: Command, context: Context): void {
  const command = leaf(xsk, "latency", "measure round trips of UDP frames between two programs on AF_XDP", [
    ["xdpctl xsk latency veth1 --listen 9000", "one side answers, until Ctrl-C"],
    ["xdpctl xsk latency veth0 --to 10.0.0.5:9000", "the other side measures 100 round trips"],
    ["xdpctl xsk latency veth0 --to 10.0.0.5:9000 --interval 0 --for 5s", "each as soon as the one before is back"],
    ["xdpctl xsk latency veth0 --to 10.0.0.5:9000 --timestamps", "and how long the kernel took to send them"],
  ]);
  bareOptions(command.argument("<interface>", "where they leave, or come in", parser(interfaceName)))
    .option("--to <address:port>", "who answers", parser(parseEndpoint))
    .option("--listen <port>", "answer what comes to this port", parser(parsePort))
    .option("--mac <mac>", "MAC address of the next hop, where the kernel shall not be asked")
    .option("-n, --count <n>", "round trips, or answers; 100 round trips without", (text) =>
      parseCount("count", text, 1, 10_000_000),
    )
    .option("--for <duration>", "end after this time", parser(parseDuration))
    .option("-i, --interval <duration>", "from one to the next; 0 sends when the last is back", interval, 0.01)
    .option("--size <bytes>", "of a frame", (text) => parseCount("size", text, LEAST_SIZE, MOST_SIZE), 64)
    .option("--wait <how>", "poll or spin", waiting, "poll")
    .option("--timestamps", "also show when the kernel had sent each (Linux 6.8)")
    .action(async (name: string, given: LatencyArguments) => {
      if ((given.listen === undefined) === (given.to === undefined))
        throw usage("one side listens, the other measures", "write --listen PORT, or --to ADDRESS:PORT");
      if (given.listen !== undefined && given.timestamps === true)
        throw usage("who answers has no times to show", "give --timestamps to the side that measures");
      if (given.listen !== undefined) return listen(context, name, given, given.listen);
      return measure(context, name, given, given.to as Endpoint);
    });
}

const interval = (text: string): number => (text === "0" ? 0 : parseDuration(text));

function waiting(text: string): string {
  if (text === "poll" || text === "spin") return text;
  throw usage(`${JSON.stringify(text)} is no way to wait`, "poll, spin");
}

async function listen(context: Context, name: string, given: LatencyArguments, port: number): Promise<void> {
  needsEnd(context, given);
  await withSocket(context, name, given, { filter: { protocol: "udp", port } }, async ({ nic, signal, say }) => {
    const left = given.count ?? Number.POSITIVE_INFINITY;
    let answered = 0;
    const timer = given.for === undefined ? undefined : setTimeout(() => nic.stop(), 1000 * given.for);
    await nic.serve(
      (frame) => {
        // The last batch may have more.
        if (answered >= left) return;
        const what = answerPing(frame, port);
        if (what === undefined) return;
        frame.send();
        if (what === "pong" && ++answered >= left) nic.stop();
      },
      { wait: given.wait, signal },
    );
    clearTimeout(timer);
    say(`answered ${answered}`, { answered, last: true });
  });
}

async function measure(context: Context, name: string, given: LatencyArguments, to: Endpoint): Promise<void> {
  const path = await pathTo(name, to, given.mac);
  // As Packetvisor has it: the port after the one that answers.
  const sport = to.port === 65_535 ? to.port - 1 : to.port + 1;
  const template = new UdpTemplate({ ...path, sport, dport: to.port }, given.size);
  const options: BareOptions = { filter: { protocol: "udp", port: sport, from: path.dst } };
  const timings = given.timestamps === true ? new Timings(given.frames) : undefined;
  if (timings !== undefined) {
    options.txMetadata = true;
    options.onTimestamp = timings.note;
  }
  await withSocket(context, name, given, options, async (bench) => {
    const run = new RoundTrips(bench, template, sport, given, timings);
    await run.all(`${to.address}:${to.port}`);
  });
}

/** One after the other: a greeting until it is answered, then Pings. */
class RoundTrips {
  readonly #bench: Bench;
  readonly #template: UdpTemplate;
  readonly #given: LatencyArguments;
  readonly #port: number;
  readonly #most: number;
  /** When each left, in milliseconds; then how long it took. */
  readonly #times: Float64Array;
  readonly #back: Uint8Array;
  readonly #header = { number: 0, operation: 0 };
  readonly #timings: Timings | undefined;
  #sent = 0;
  #answered = 0;
  #greeted = false;
  #foreign = 0;
  #next: NodeJS.Timeout | undefined;
  #ended = false;

  constructor(
    bench: Bench,
    template: UdpTemplate,
    port: number,
    given: LatencyArguments,
    timings: Timings | undefined,
  ) {
    this.#bench = bench;
    this.#timings = timings;
    this.#template = template;
    this.#port = port;
    this.#given = given;
    this.#most = given.count ?? (given.for === undefined ? 100 : 10_000_000);
    this.#times = new Float64Array(this.#most);
    this.#back = new Uint8Array(this.#most);
  }

  async all(whom: string): Promise<void> {
    const { nic, signal } = this.#bench;
    const greeting = setInterval(() => this.#send(0, PERF.SYN), GREETING_MS);
    const patience = setTimeout(() => nic.stop(), PATIENCE_MS);
    let end: NodeJS.Timeout | undefined;
    this.#begin = () => {
      clearInterval(greeting);
      clearTimeout(patience);
      if (this.#given.for !== undefined) end = setTimeout(() => this.#finish(), 1000 * this.#given.for);
      this.#ping();
    };
    this.#send(0, PERF.SYN);
    try {
      await nic.serve((frame) => this.#receive(frame), { wait: this.#given.wait, yieldMs: 1, signal });
    } finally {
      for (const timer of [greeting, patience, end, this.#next]) clearTimeout(timer);
    }
    if (!this.#greeted && !signal.aborted)
      throw new XdpctlError("XDPCTL_E_NO_ANSWER", `nobody at ${whom} answered within a second`);
    this.#report();
  }

  #begin: () => void = () => {};

  #send(number: number, operation: number): boolean {
    const template = this.#template;
    const { nic } = this.#bench;
    if (nic.closed) return false;
    return (
      nic.produce(1, (frame) => {
        template.write(frame.bytes, frame.start, number, operation);
        frame.growTail(template.length);
        if (this.#timings !== undefined && operation === PERF.PING) {
          this.#timings.written(number);
          frame.requestTimestamp(number);
        }
        frame.send();
      }) === 1
    );
  }

  #ping(): void {
    if (this.#ended) return;
    if (this.#sent === this.#most) {
      this.#finish();
      return;
    }
    const number = this.#sent++;
    this.#times[number] = performance.now();
    this.#send(number, PERF.PING);
    const { interval } = this.#given;
    clearTimeout(this.#next);
    // Without an interval the answer sends the next; the time limit is for one that is lost.
    this.#next = setTimeout(() => this.#ping(), interval === 0 ? PATIENCE_MS : 1000 * interval);
  }

  #receive(frame: Parameters<typeof readPerf>[0]): void {
    const now = performance.now();
    const header = this.#header;
    if (!readPerf(frame, this.#port, header)) return;
    const { number, operation } = header;
    if (operation === PERF.ACK && !this.#greeted) {
      this.#greeted = true;
      this.#begin();
      return;
    }
    if (operation !== PERF.PONG) return;
    if (number >= this.#sent || this.#back[number] !== 0) {
      this.#foreign++;
      return;
    }
    this.#back[number] = 1;
    this.#times[number] = now - (this.#times[number] as number);
    this.#answered++;
    if (this.#given.interval === 0) this.#ping();
    else if (this.#answered === this.#most) this.#bench.nic.stop();
  }

  /** No more is sent; what is under way has its time. */
  #finish(): void {
    this.#ended = true;
    clearTimeout(this.#next);
    const { nic } = this.#bench;
    if (this.#answered === this.#sent) nic.stop();
    else this.#next = setTimeout(() => nic.stop(), PATIENCE_MS);
  }

  #report(): void {
    const figures = quantiles(this.#times.filter((_, i) => this.#back[i] === 1));
    const lost = this.#sent - this.#answered;
    const more = this.#foreign === 0 ? "" : `, ${this.#foreign} twice or foreign`;
    const left = this.#timings?.quantiles;
    const lines = [`${this.#sent} sent, ${this.#answered} answered, ${lost} lost${more}`, quantilesText(figures)];
    if (left !== undefined) lines.push(`of that until they were sent: ${quantilesText(left)}`);
    this.#bench.say(lines.join("\n"), {
      sent: this.#sent,
      answered: this.#answered,
      lost,
      foreign: this.#foreign,
      size: this.#template.length,
      microseconds: figures,
      ...(left === undefined ? {} : { transmitted: left }),
      last: true,
    });
  }
}
