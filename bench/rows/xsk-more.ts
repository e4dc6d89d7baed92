// SPDX-License-Identifier: MIT
import { TestPair } from "../../test/fixtures/netns.js";
import { bpfObject, cProgram } from "../build.js";
import { alternate, median } from "../legs.js";
import { LineProcess } from "../lines.js";
import { legsNote, type Row } from "../row.js";

const MS = 2000;
const MARGIN = 400;
const NODE_SIDE = [process.execPath, "build/bench/xsk-side.mjs"];
const on = (cpu: string, ...argv: string[]): string[] => ["taskset", "-c", cpu, ...argv];

/** CPU of a packet with two queues and two workers, beside one: on two CPUs that the generators use, too. */
export async function queues(quick: boolean, log: (text: string) => void): Promise<Row> {
  const pair = new TestPair();
  pair.left.must("ip", "link", "del", "eth0");
  const each = ["numrxqueues", "2", "numtxqueues", "2"];
  const peer = ["peer", "name", "eth0", "index", "12", ...each, "netns", pair.right.name];
  pair.left.must("ip", "link", "add", "eth0", "index", "11", ...each, "type", "veth", ...peer);
  for (const side of [pair.left, pair.right]) side.must("ip", "link", "set", "eth0", "up");
  // A frame comes in by the queue whose number is that of the CPU that sends it.
  const generate = [cProgram("livegen"), bpfObject("reflect"), "eth0"];
  const traffic = ["0", "1"].map((cpu) => new LineProcess(pair.left.argv(...on(cpu, ...generate))));
  const side = (...cpus: string[]): LineProcess =>
    new LineProcess(pair.right.argv(process.execPath, "build/bench/xsk-all-side.mjs", "eth0", ...cpus));
  const [two, one] = [side("1", "0"), side("1")];
  const leg = async (process: LineProcess, count: number, ms = MS): Promise<number> => {
    await process.ask("open");
    const active = traffic.slice(0, count);
    for (const generator of active) generator.send(`${ms + MARGIN}`);
    const [packets = 0, us = 0] = (await process.ask(`run ${ms}`)).split(" ").map(Number);
    await Promise.all(active.map((generator) => generator.receive()));
    await process.ask("close");
    log(`${count} workers ${(packets / ms).toFixed(0)} kpps, ${((1000 * us) / packets).toFixed(0)} ns of CPU`);
    return (1000 * us) / packets;
  };
  try {
    for (const [process, count] of [
      [two, 2],
      [one, 1],
    ] as const)
      await leg(process, count, 1000);
    const both: [() => Promise<number>, () => Promise<number>] = [() => leg(two, 2), () => leg(one, 1)];
    const figures = await alternate(...both, { legs: quick ? 2 : 9, tolerated: 0.15, slowest: 1.5 });
    const [mine, other] = [median(figures.ours), median(figures.theirs)];
    return {
      what: "AF_XDP echo, two queues with two workers: CPU per packet",
      xdpctl: `${mine.toFixed(0)} ns`,
      beside: `${other.toFixed(0)} ns (one worker)`,
      ratio: (mine / other).toFixed(3),
      wanted: "≤ 1.1",
      ok: mine / other <= 1.1,
      note: legsNote(figures),
    };
  } finally {
    await Promise.all([two, one, ...traffic].map((process) => process.close()));
    pair.close();
  }
}

/** Who answers, with a pair and a client of its own. */
class Answering {
  readonly #pair = new TestPair();
  readonly #side: LineProcess;
  readonly #client: LineProcess;

  constructor(argv: readonly string[]) {
    const { left, right, rightAddress } = this.#pair;
    const mac = /link\/ether (\S+)/.exec(right.must("ip", "link", "show", "eth0"))?.[1] ?? "";
    left.must("ip", "neigh", "replace", rightAddress, "lladdr", mac, "dev", "eth0");
    this.#side = new LineProcess(right.argv(...argv));
    this.#client = new LineProcess(left.argv(...on("0", cProgram("rtt"), rightAddress)));
  }

  async open(): Promise<void> {
    await this.#side.ask("open");
  }

  /** ns: the median, the 99th percentile; and how many of `count` were answered. */
  async leg(count: number): Promise<number[]> {
    // 300 µs between, and up to 100 µs each.
    this.#side.send(`run ${Math.ceil(0.6 * count)}`);
    const answer = await this.#client.ask(`${count}`);
    await this.#side.receive();
    return answer.split(" ").map(Number);
  }

  async close(): Promise<void> {
    await Promise.all([this.#side.close(), this.#client.close()]);
    this.#pair.close();
  }
}

/** Round trips of single datagrams, both sides waiting in poll(2). */
export async function roundTrip(quick: boolean, log: (text: string) => void): Promise<Row> {
  const args = ["udp", "eth0", "poll"];
  const c = new Answering(on("1", cProgram("xsk", ["xdp", "bpf"]), ...args));
  const ours = new Answering([...NODE_SIDE, ...args, "1"]);
  const count = quick ? 1000 : 4000;
  const leg = async (who: string, side: Answering): Promise<number> => {
    const [p50 = 0, p99 = 0, answered = 0] = await side.leg(count);
    log(`round trip ${who} p50 ${(p50 / 1000).toFixed(1)} µs, p99 ${(p99 / 1000).toFixed(1)} µs, ${answered} answered`);
    return p50;
  };
  try {
    for (const side of [ours, c]) {
      await side.open();
      await leg("warm-up", side);
    }
    const both: [() => Promise<number>, () => Promise<number>] = [() => leg("ours", ours), () => leg("C", c)];
    const figures = await alternate(...both, { legs: quick ? 2 : 15, tolerated: 0.15, slowest: 1.5 });
    const [mine, theirs] = [median(figures.ours), median(figures.theirs)];
    return {
      what: "AF_XDP UDP echo: round trip, p50",
      xdpctl: `${(mine / 1000).toFixed(1)} µs`,
      beside: `${(theirs / 1000).toFixed(1)} µs (C libxdp)`,
      ratio: (mine / theirs).toFixed(3),
      wanted: "≤ 1.05",
      ok: mine / theirs <= 1.05,
      note: `${legsNote(figures)}; ${count} round trips each, 300 µs apart`,
    };
  } finally {
    await Promise.all([c.close(), ours.close()]);
  }
}
