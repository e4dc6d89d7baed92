// SPDX-License-Identifier: MIT

/** Lines of 64 bytes: 8 MiB, more than the caches that a CPU has for itself. */
const LINES = 1 << 17;
const WORDS = 16;
const LOADS = 20_000;

/** Each line's first word is the number of the next one's, in one circle in no order that a processor foresees. */
function circle(): Int32Array {
  const order = Int32Array.from({ length: LINES }, (_, i) => i);
  for (let i = LINES - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    const line = order[i] as number;
    order[i] = order[j] as number;
    order[j] = line;
  }
  const next = new Int32Array(LINES * WORDS);
  for (let i = 0; i < LINES; i++) next[(order[i] as number) * WORDS] = (order[(i + 1) % LINES] as number) * WORDS;
  return next;
}

let lines: Int32Array | undefined;
let at = 0;

/**
 * Nanoseconds of a load that only the caches that CPUs share, or memory, have: where the neighbours of a virtual machine are
 * heard whom none of its counters shows.
 */
export function loadNs(): number {
  lines ??= circle();
  const times: number[] = [];
  for (let n = 0; n < 5; n++) {
    const began = performance.now();
    for (let i = 0; i < LOADS; i++) at = lines[at] as number;
    times.push((1e6 * (performance.now() - began)) / LOADS);
  }
  return times.sort((a, b) => a - b)[2] as number;
}
