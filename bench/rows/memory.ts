// SPDX-License-Identifier: MIT
import { TestPair } from "../../test/fixtures/netns.js";
import { Guarded } from "../guarded.js";
import type { Benchmark } from "../row.js";

const STEPS = 10;
const RATE = 250_000;

/** Resident memory of a controller with one policy, while it answers 10 million events. */
export const memory: Benchmark = async ({ quick, log }) => {
  const events = quick ? 1_000_000 : 10_000_000;
  const pair = new TestPair();
  const guarded = await Guarded.controller(pair);
  try {
    const sizes: number[] = [];
    let last = await guarded.observe();
    for (let step = 0; step < STEPS; step++) {
      await guarded.flood(events / STEPS, RATE);
      last = await guarded.observe();
      sizes.push(last.rss);
      log(`memory: ${last.calls} hooks, ${last.rss.toFixed(0)} MiB`);
    }
    // The first steps fill caches and warm the compiler; flat is what comes after.
    const settled = sizes.slice(STEPS / 2);
    const growth = (settled.at(-1) ?? 0) - (settled[0] ?? 0);
    const most = Math.max(...sizes);
    return [
      {
        what: `resident memory, controller and one policy, ${events / 1e6} million events`,
        xdpctl: `${most.toFixed(0)} MiB at most, ${growth >= 0 ? "+" : ""}${growth.toFixed(1)} in the second half`,
        beside: "",
        ratio: "",
        wanted: "flat, < 110 MB",
        ok: most * 1.048576 < 110 && growth < 5,
        note: `${last.calls} hooks, ${last.lost.ring + last.lost.policy} lost`,
      },
    ];
  } finally {
    await guarded.close();
    pair.close();
  }
};
