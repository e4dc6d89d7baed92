// SPDX-License-Identifier: MIT
import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import { Loop } from "../../src/loop/index.js";

/** What policies' workers do while they wait, and while a hook runs. */
const BODIES = [
  "Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)",
  "for (;;);",
  "setInterval(() => {}, 1)",
];

test("1,000 workers are terminated while the loop runs: it never misses, nothing crashes", {
  timeout: 120_000,
}, async () => {
  using loop = new Loop();
  let ticks = 0;
  let last = performance.now();
  let worst = 0;
  loop.every(10, () => {
    const now = performance.now();
    worst = Math.max(worst, now - last);
    last = now;
    ticks++;
  });
  const began = performance.now();
  let ended = 0;
  const lane = async (from: number): Promise<void> => {
    for (let i = from; i < 1000; i += 2) {
      const worker = new Worker(BODIES[i % BODIES.length] as string, { eval: true, stdin: false });
      await new Promise((resolve) => worker.once("online", resolve));
      expect(await worker.terminate()).toBe(1);
      ended++;
    }
  };
  await Promise.all([lane(0), lane(1)]);
  expect(ended).toBe(1000);
  const seconds = (performance.now() - began) / 1000;
  // Starting a worker takes the main thread some milliseconds: ticks come late then, and still all the time.
  expect(ticks).toBeGreaterThan(seconds * 20);
  expect(worst).toBeLessThan(500);
});
