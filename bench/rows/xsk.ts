// SPDX-License-Identifier: MIT
import { TestPair } from "../../test/fixtures/netns.js";
import { bpfObject, cProgram } from "../build.js";
import { alternate, quantile } from "../legs.js";
import { LineProcess } from "../lines.js";
import { type Benchmark, legsNote, type Row } from "../row.js";
import { queues, roundTrip } from "./xsk-more.js";

type Work = "echo" | "drop" | "tx";

const WANTED: Record<Work, number> = { echo: 0.97, drop: 0.98, tx: 0.98 };
const TITLE: Record<Work, string> = {
  echo: "AF_XDP echo (l2fwd), 60-byte frames, copy mode on veth",
  drop: "AF_XDP receive and drop",
  tx: "AF_XDP transmit only",
};
const MS = 2000;
const WARM_MS = 1000;
/** Traffic begins before a leg and ends after it. */
const MARGIN = 400;
/** CPUs of the generator and of the side that is measured. */
const CPU = { traffic: "0", measured: "1" };
/** ns of user time per packet that ours may take beyond C's. */
const MOST_NS = 15;

interface Leg {
  pps: number;
  /** Calls for 1,000 packets. */
  sendtos: number;
  waits: number;
  /** Of the time that no system call took. */
  userNs: number;
}

/** A side with a pair of its own: its socket stays open from leg to leg, as it would in use. */
class Side {
  readonly #pair = new TestPair();
  readonly #process: LineProcess;
  readonly #traffic: LineProcess | undefined;

  constructor(argv: readonly string[], work: Work) {
    this.#process = new LineProcess(this.#pair.right.argv(...argv));
    const generate = [cProgram("livegen"), bpfObject("reflect"), "eth0"];
    if (work !== "tx") this.#traffic = new LineProcess(this.#pair.left.argv(...on(CPU.traffic, ...generate)));
  }

  async open(): Promise<void> {
    const opened = await this.#process.ask("open");
    if (opened !== "0") throw new Error(`the socket can not be opened: ${opened}`);
  }

  async leg(ms = MS): Promise<Leg> {
    this.#traffic?.send(`${ms + MARGIN}`);
    if (this.#traffic !== undefined) await new Promise((resolve) => setTimeout(resolve, MARGIN / 2));
    const answer = await this.#process.ask(`run ${ms}`);
    await this.#traffic?.receive();
    const [packets = 0, ns = 1, sendtos = 0, user = 0, waits = 0] = answer.split(" ").map(Number);
    const each = (n: number): number => (1000 * n) / packets;
    return { pps: packets / (ns / 1e9), sendtos: each(sendtos), waits: each(waits), userNs: user / packets };
  }

  async close(): Promise<void> {
    await Promise.all([this.#process.close(), this.#traffic?.close()]);
    this.#pair.close();
  }
}

const on = (cpu: string, ...argv: string[]): string[] => ["taskset", "-c", cpu, ...argv];

async function compare(work: Work, quick: boolean, log: (text: string) => void): Promise<Row[]> {
  const args = [work, "eth0", "poll"];
  const c = new Side(on(CPU.measured, cProgram("xsk", ["xdp", "bpf"]), ...args), work);
  const ours = new Side([process.execPath, "build/bench/xsk-side.mjs", ...args, CPU.measured], work);
  const leg = async (who: string, side: Side): Promise<Leg> => {
    const result = await side.leg();
    const { pps, userNs, waits } = result;
    log(`${work} ${who} ${(pps / 1000).toFixed(0)} kpps, ${userNs.toFixed(0)} ns user, ${waits.toFixed(1)} waits`);
    return result;
  };
  try {
    for (const side of [ours, c]) {
      await side.open();
      // Compiling is no part of a packet's cost.
      await side.leg(WARM_MS);
    }
    const figures = await alternate(
      () => leg("ours", ours),
      () => leg("C", c),
      { legs: quick ? 2 : 9, tolerated: 0.15, slowest: 1.5 },
    );
    const { ours: mine, theirs } = figures;
    const of = (legs: Leg[], key: keyof Leg, q = 0.5): number =>
      quantile(
        legs.map((one) => one[key]),
        q,
      );
    const kpps = (legs: Leg[], q = 0.5): string => (of(legs, "pps", q) / 1000).toFixed(0);
    const rate = (legs: Leg[]): string => `${kpps(legs)} kpps (${kpps(legs, 0.1)}–${kpps(legs, 0.9)})`;
    const ratio = of(mine, "pps") / of(theirs, "pps");
    const beyond = of(mine, "userNs") - of(theirs, "userNs");
    const both = (key: keyof Leg): string => `${of(mine, key).toFixed(1)} / ${of(theirs, key).toFixed(1)}`;
    return [
      {
        what: TITLE[work],
        xdpctl: rate(mine),
        beside: `${rate(theirs)} (C libxdp)`,
        ratio: ratio.toFixed(3),
        wanted: `≥ ${WANTED[work]}`,
        ok: ratio >= WANTED[work],
        note: `${legsNote(figures)}; per 1,000 packets sendto ${both("sendtos")}, poll ${both("waits")}`,
      },
      {
        what: `${TITLE[work].split(",")[0]}: user CPU per packet`,
        xdpctl: `${of(mine, "userNs").toFixed(1)} ns`,
        beside: `${of(theirs, "userNs").toFixed(1)} ns (C libxdp)`,
        ratio: "",
        wanted: `≤ C + ${MOST_NS} ns`,
        ok: beyond <= MOST_NS,
        note: legsNote(figures),
      },
    ];
  } finally {
    await Promise.all([c.close(), ours.close()]);
  }
}

export const xsk: Benchmark = async ({ quick, log }) => [
  ...(await compare("echo", quick, log)),
  ...(await compare("drop", quick, log)),
  ...(await compare("tx", quick, log)),
  await queues(quick, log),
  await roundTrip(quick, log),
];
