// SPDX-License-Identifier: MIT
import { spawn } from "node:child_process";
import { builtinPath } from "../../src/bpf/index.js";
import { TestPair } from "../../test/fixtures/netns.js";
import { cProgram } from "../build.js";
import { Guarded } from "../guarded.js";
import { alternate, median } from "../legs.js";
import { type Benchmark, legsNote, type Row } from "../row.js";

/** More than either side is asked to reach. */
const OFFERED = 600_000;
const PACED = 200_000;
/** Microseconds between paced packets. */
const GAP = 300;

/** Answers a second while more events are offered than wanted. */
async function rate(guarded: Guarded, seconds: number): Promise<number> {
  const before = await guarded.handled();
  const started = performance.now();
  await guarded.flood(OFFERED * seconds, OFFERED);
  const after = await guarded.handled();
  return ((after - before) / (performance.now() - started)) * 1000;
}

async function compare(quick: boolean): Promise<Row[]> {
  // Two namespaces, so that both are there at once and their legs take turns.
  const [here, there] = [new TestPair({ net: 1 }), new TestPair({ net: 2 })];
  const owners: Guarded[] = [];
  try {
    const ours = await Guarded.controller(here);
    owners.push(ours);
    const theirs = await Guarded.start(there, [cProgram("hooks"), builtinPath("guard"), "eth0"]);
    owners.push(theirs);
    await rate(ours, 1);
    const seconds = quick ? 1 : 3;
    const rates = await alternate(
      () => rate(ours, seconds),
      () => rate(theirs, seconds),
      { legs: quick ? 2 : 5 },
    );
    const samples = quick ? 500 : 3000;
    const late: { ours: number[]; theirs: number[] } = { ours: [], theirs: [] };
    const paced = await alternate(
      async () => {
        const { p50, p99 } = await ours.latency(samples, GAP);
        late.ours.push(p99);
        return p50;
      },
      async () => {
        const { p50, p99 } = await theirs.latency(samples, GAP);
        late.theirs.push(p99);
        return p50;
      },
      { legs: quick ? 2 : 5 },
    );
    const [hooks, cHooks] = [median(rates.ours), median(rates.theirs)];
    const [p50, cP50] = [median(paced.ours), median(paced.theirs)];
    return [
      {
        what: "event → Lua hook → rule in the map (ours: once a batch for each source; C: for each event)",
        xdpctl: `${Math.round(hooks / 1000)} k hooks/s`,
        beside: `${Math.round(cHooks / 1000)} k/s (C libbpf, no Lua; ${OFFERED / 1000} k offered)`,
        ratio: (hooks / cHooks).toFixed(2),
        wanted: "≥ 250 k hooks/s",
        ok: hooks >= 250_000,
        note: legsNote(rates),
      },
      {
        what: "the same, paced: packet → entry in the map, each 300 µs a new source (ours: --cpus 0,1)",
        xdpctl: `p50 ${p50.toFixed(0)} µs, p99 ${median(late.ours).toFixed(0)}`,
        beside: `p50 ${cP50.toFixed(0)} µs, p99 ${median(late.theirs).toFixed(0)} (C libbpf)`,
        ratio: (cP50 / p50).toFixed(2),
        wanted: "p50 ≤ 80 µs",
        ok: p50 > 0 && p50 <= 80,
        note: legsNote(paced),
      },
    ];
  } finally {
    for (const owner of owners) await owner.close();
    here.close();
    there.close();
  }
}

async function sustained(quick: boolean): Promise<Row> {
  const seconds = quick ? 5 : 60;
  const pair = new TestPair();
  const guarded = await Guarded.controller(pair);
  const watch = pair.right.argv(process.execPath, "bin/xdpctl.cjs", "status", "--watch");
  const [command, ...args] = watch;
  const watcher = spawn(command, args, { stdio: ["ignore", "ignore", "inherit"] });
  const gone = new Promise((resolve) => watcher.once("close", resolve));
  try {
    await guarded.flood(PACED, PACED);
    const before = await guarded.observe();
    await guarded.flood(PACED * seconds, PACED);
    const after = await guarded.observe();
    const late = Math.max(after.late.loop, after.late.node);
    const lost = after.lost.ring + after.lost.policy - before.lost.ring - before.lost.policy;
    return {
      what: `${PACED / 1000} k events/s for ${seconds} s, 4 MiB ring, \`status --watch\` running`,
      xdpctl: `${lost} lost, timers ≤ ${late.toFixed(1)} ms late`,
      beside: "",
      ratio: "",
      wanted: "0 lost, ≤ 20 ms",
      ok: lost === 0 && late <= 20,
      note: `${after.calls - before.calls} hooks${after.error === null ? "" : `, ${after.error}`}`,
    };
  } finally {
    watcher.kill("SIGTERM");
    await gone;
    await guarded.close();
    pair.close();
  }
}

export const hooks: Benchmark = async ({ quick }) => [...(await compare(quick)), await sustained(quick)];
