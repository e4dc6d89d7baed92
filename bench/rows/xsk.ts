// SPDX-License-Identifier: MIT
import { TestPair } from "../../test/fixtures/netns.js";
import { bpfObject, cProgram } from "../build.js";
import { alternate, median, quantile } from "../legs.js";
import { LineProcess } from "../lines.js";
import { type Benchmark, legsNote, type Row } from "../row.js";

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
  sendtos: number;
  userNs: number;
}

async function measure(side: LineProcess, traffic: LineProcess | undefined, ms = MS): Promise<Leg> {
  const opened = await side.ask("open");
  if (opened !== "0") throw new Error(`the socket can not be opened: ${opened}`);
  traffic?.send(`${ms + MARGIN}`);
  if (traffic !== undefined) await new Promise((resolve) => setTimeout(resolve, MARGIN / 2));
  const answer = await side.ask(`run ${ms}`);
  await traffic?.receive();
  await side.ask("close");
  const [packets = 0, ns = 1, sendtos = 0, user = 0] = answer.split(" ").map(Number);
  return { pps: packets / (ns / 1e9), sendtos: (1000 * sendtos) / packets, userNs: (1000 * user) / packets };
}

async function compare(work: Work, quick: boolean, log: (text: string) => void): Promise<Row[]> {
  const pair = new TestPair();
  const on = (cpu: string, ...argv: string[]): string[] => ["taskset", "-c", cpu, ...argv];
  const args = [work, "eth0", "poll"];
  const c = new LineProcess(pair.right.argv(...on(CPU.measured, cProgram("xsk", ["xdp", "bpf"]), ...args)));
  const ours = new LineProcess(pair.right.argv(process.execPath, "build/bench/xsk-side.mjs", ...args, CPU.measured));
  const generate = [cProgram("livegen"), bpfObject("reflect"), "eth0"];
  const traffic = work === "tx" ? undefined : new LineProcess(pair.left.argv(...on(CPU.traffic, ...generate)));
  const seen: [Leg[], Leg[]] = [[], []];
  const leg = async (side: 0 | 1, process: LineProcess): Promise<number> => {
    const result = await measure(process, traffic);
    seen[side].push(result);
    log(
      `${work} ${side === 0 ? "ours" : "C"} ${(result.pps / 1000).toFixed(0)} kpps, ${result.userNs.toFixed(0)} ns user`,
    );
    return result.pps;
  };
  try {
    // Compiling is no part of a packet's cost.
    for (const side of [ours, c]) await measure(side, traffic, WARM_MS);
    const figures = await alternate(
      () => leg(0, ours),
      () => leg(1, c),
      { legs: quick ? 2 : 9, tolerated: 0.6, roots: [] },
    );
    const [mine, theirs] = [median(figures.ours), median(figures.theirs)];
    const of = (side: 0 | 1, key: "sendtos" | "userNs"): number => median(seen[side].map((one) => one[key]));
    const spread = (values: number[]): string =>
      `${(quantile(values, 0.1) / 1000).toFixed(0)}–${(quantile(values, 0.9) / 1000).toFixed(0)}`;
    const beyond = of(0, "userNs") - of(1, "userNs");
    const calls = `sendto per 1,000: ${of(0, "sendtos").toFixed(1)} / ${of(1, "sendtos").toFixed(1)}`;
    return [
      {
        what: TITLE[work],
        xdpctl: `${(mine / 1000).toFixed(0)} kpps (${spread(figures.ours)})`,
        beside: `${(theirs / 1000).toFixed(0)} kpps (${spread(figures.theirs)}) (C libxdp)`,
        ratio: (mine / theirs).toFixed(3),
        wanted: `≥ ${WANTED[work]}`,
        ok: mine / theirs >= WANTED[work],
        note: `${legsNote(figures)}; ${calls}`,
      },
      {
        what: `${TITLE[work].split(",")[0]}: user CPU per packet`,
        xdpctl: `${of(0, "userNs").toFixed(1)} ns`,
        beside: `${of(1, "userNs").toFixed(1)} ns (C libxdp)`,
        ratio: "",
        wanted: `≤ C + ${MOST_NS} ns`,
        ok: beyond <= MOST_NS,
        note: legsNote(figures),
      },
    ];
  } finally {
    await Promise.all([c.close(), ours.close(), traffic?.close()]);
    pair.close();
  }
}

export const xsk: Benchmark = async ({ quick, log }) => [
  ...(await compare("echo", quick, log)),
  ...(await compare("drop", quick, log)),
  ...(await compare("tx", quick, log)),
];
