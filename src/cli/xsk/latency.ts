// SPDX-License-Identifier: MIT
import type { Command } from "commander";
import { XdpctlError } from "../../errors/index.js";
import { answerPing, PERF, readPerf, UdpTemplate } from "../../packet/index.js";
import { interfaceName, leaf, parser, usage } from "../command.js";
import type { Context } from "../context.js";
import { parseCount, parseDuration } from "../quantities.js";
import { parsePort } from "../targets.js";
import { type Endpoint, LEAST_SIZE, MOST_SIZE, parseEndpoint, pathTo } from "./ends.js";
import { type BareArguments, type Bench, bareOptions, needEnd, withSocket } from "./socket.js";

interface LatencyArguments extends BareArguments {
  listen?: number;
  to?: Endpoint;
  mac?: string;
  count?: number;
  for?: number;
  interval: number;
  size: number;
  wait: "poll" | "spin";
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
    .action(async (name: string, given: LatencyArguments) => {
      if ((given.listen === undefined) === (given.to === undefined))
        throw usage("one side listens, the other measures", "write --listen PORT, or --to ADDRESS:PORT");
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
  needEnd(context, given);
  await withSocket(context, name, given, { filter: { protocol: "udp", port } }, async ({ nic, signal, say }) => {
    const left = given.count ?? Number.POSITIVE_INFINITY;
    let answered = 0;
    const timer = given.for === undefined ? undefined : setTimeout(() => nic.stop(), 1000 * given.for);
    await nic.serve(
      (frame) => {
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
  const filter = { protocol: "udp" as const, port: sport, from: path.dst };
  await withSocket(context, name, given, { filter }, async (bench) => {
    const run = new RoundTrips(bench, template, sport, given);
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
  #sent = 0;
  #answered = 0;
  #greeted = false;
  #foreign = 0;
  #next: NodeJS.Timeout | undefined;
  #ended = false;

  constructor(bench: Bench, template: UdpTemplate, port: number, given: LatencyArguments) {
    this.#bench = bench;
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
    const took = this.#times.filter((_, i) => this.#back[i] === 1).sort();
    const micro = (at: number): number | null => (took.length === 0 ? null : Math.round((took[at] ?? 0) * 10_000) / 10);
    const nth = (share: number): number | null => micro(Math.max(0, Math.ceil(took.length * share) - 1));
    const figures = { min: micro(0), p50: nth(0.5), p99: nth(0.99), max: micro(took.length - 1) };
    const lost = this.#sent - this.#answered;
    const text = Object.entries(figures).map(
      ([name, value]) => `${name} ${value === null ? "–" : `${value.toFixed(1)} µs`}`,
    );
    const more = this.#foreign === 0 ? "" : `, ${this.#foreign} twice or foreign`;
    this.#bench.say(`${this.#sent} sent, ${this.#answered} answered, ${lost} lost${more}\n${text.join("  ")}`, {
      sent: this.#sent,
      answered: this.#answered,
      lost,
      foreign: this.#foreign,
      size: this.#template.length,
      microseconds: figures,
      last: true,
    });
  }
}
