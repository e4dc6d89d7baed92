// SPDX-License-Identifier: MIT
import { TestPair } from "../../test/fixtures/netns.js";
import { bpfObject, cProgram } from "../build.js";
import { LineProcess } from "../lines.js";
import type { Benchmark, Row } from "../row.js";

const SECONDS = 600;
const QUICK_SECONDS = 20;
const RATE = 500_000;
/** What the generator is asked for: it sends 1 % less. */
const OFFERED = 510_000;
/** The pool and the memory are looked at after each part. */
const PARTS = 10;
/** What the process may grow by, of what the first part has left it with: pages that its heap had not touched yet. */
const MOST_MIB = 8;
const MOST_PAUSE_MS = 5;
/** What docs/xsk.md advises a process that does nothing but packets. */
const FLAGS = ["--single-threaded-gc", "--no-memory-reducer", "--initial-old-space-size=64"];

interface State {
  pause: number;
  mebibytes: number;
  /** Frames that are free, or on their way to be sent: all but the fill ring's. */
  frames: number;
}

async function state(side: LineProcess): Promise<State> {
  const [pause = 0, rss = 0, free = 0, sending = 0] = (await side.ask("state")).split(" ").map(Number);
  return { pause, mebibytes: rss / 2 ** 20, frames: free + sending };
}

/** Echo at a steady rate for long: memory and pool stay what they were, and no pause of the collector is long. */
export const soak: Benchmark = async ({ quick, seconds, log }) => {
  const ms = (1000 * (seconds ?? (quick ? QUICK_SECONDS : SECONDS))) / PARTS;
  const pair = new TestPair();
  const echo = new LineProcess(
    pair.right.argv(process.execPath, ...FLAGS, "build/bench/xsk-side.mjs", "echo", "eth0", "poll", "1"),
  );
  const generate = [cProgram("livegen"), bpfObject("reflect"), "eth0", `${OFFERED}`];
  const sender = new LineProcess(pair.left.argv("taskset", "-c", "0", ...generate));
  try {
    await echo.ask("open");
    const begun = (await state(echo)).frames;
    const states: State[] = [];
    let packets = 0;
    let ns = 0;
    for (let part = 0; part < PARTS; part++) {
      sender.send(`${ms}`);
      const [received = 0, took = 0] = (await echo.ask(`run ${ms}`)).split(" ").map(Number);
      await sender.receive();
      // What the sender sent last is echoed, too, before the frames are counted.
      await echo.ask("run 100");
      packets += received;
      ns += took;
      const now = await state(echo);
      states.push(now);
      log(
        `${part + 1}/${PARTS}: ${(1e6 * (received / took)).toFixed(0)} kpps, ${now.mebibytes.toFixed(1)} MiB, ${now.frames} frames, ` +
          `longest pause ${now.pause.toFixed(2)} ms`,
      );
    }
    return rows(states, begun, packets, ns);
  } finally {
    await Promise.all([echo.close(), sender.close()]);
    pair.close();
  }
};

function rows(states: readonly State[], begun: number, packets: number, ns: number): Row[] {
  const first = states[0]?.mebibytes ?? 0;
  const grown = Math.max(...states.map(({ mebibytes }) => mebibytes)) - first;
  const frames = states.map((one) => one.frames);
  const lost = begun - Math.min(...frames);
  const pause = Math.max(...states.map((one) => one.pause));
  const note = `${(packets / 1e6).toFixed(0)} million packets in ${(ns / 1e9).toFixed(0)} s, ${(1e6 * (packets / ns)).toFixed(0)} kpps`;
  const row = (what: string, xdpctl: string, wanted: string, ok: boolean): Row => ({
    what: `AF_XDP echo at ${RATE / 1000} kpps: ${what}`,
    xdpctl,
    beside: "",
    ratio: "",
    wanted,
    ok,
    note,
  });
  return [
    row("growth of memory", `${grown.toFixed(1)} MiB`, `≤ ${MOST_MIB} MiB`, grown <= MOST_MIB),
    row("frames lost", `${lost} of ${begun}`, "0", lost === 0),
    row("longest pause of the collector", `${pause.toFixed(2)} ms`, `≤ ${MOST_PAUSE_MS} ms`, pause <= MOST_PAUSE_MS),
  ];
}
