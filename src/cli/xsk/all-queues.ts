// SPDX-License-Identifier: MIT
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { XdpctlError } from "../../errors/index.js";
import { type ServeAllOptions, type ServedInterface, serveAll } from "../../xsk/index.js";
import { usage } from "../command.js";
import { aborted, type Context, settle } from "../context.js";
import { type AllQueuesArguments, needsEnd, ruleOf, xskOptions } from "./options.js";
import type { QueueWork } from "./queue-work.js";
import { type Column, passedBy, writeReport } from "./report.js";

/** As many queues as anything has, and packets as a 32-bit number counts. */
const MOST_QUEUES = 4096;
const MOST_COUNT = 2 ** 31 - 1;
/** How often it is looked whether all packets of `--count` have come. */
const LOOK_MS = 20;

/** The module that the workers run: beside this bundle, or in dist/ when this runs from src/. */
function modulePath(): URL {
  const found = ["./xsk-queue.js", "../../../dist/xsk-queue.js"]
    .map((path) => new URL(path, import.meta.url))
    .find((url) => existsSync(fileURLToPath(url)));
  if (found === undefined)
    throw new XdpctlError("XDPCTL_E_INTERNAL", "dist/xsk-queue.js is missing", { remedy: "run `npm run build`" });
  return found;
}

/** All queues of an interface, a worker for each, until Ctrl-C, `--count` or `--for`; `--stats` shows each, and the sum. */
export async function serveQueues(
  context: Context,
  name: string,
  given: AllQueuesArguments,
  kind: QueueWork["kind"],
  addresses: readonly string[] = [],
): Promise<void> {
  needsEnd(context, given);
  const { fd, wait, count = 0 } = given;
  if (fd !== undefined) throw usage("a socket that was handed over has one queue", "leave out --queue all or --fd");
  if (wait === "loop") throw usage("a worker has no event loop to wait in", "--wait poll or --wait spin");
  if (count > MOST_COUNT) throw usage(`--count ${count} is more than all queues can count`, `${MOST_COUNT} at most`);
  const json = context.terminal.jsonMode;
  const answered = new SharedArrayBuffer(8 * MOST_QUEUES);
  const left = new Int32Array(new SharedArrayBuffer(4)).fill(count);
  const work: QueueWork = { kind, addresses, answered, ...(count === 0 ? {} : { left: left.buffer }) };
  const one = { ...given, queue: 0 };
  const { queue: _, ...options } = xskOptions(one, ruleOf(one));
  const umem = { frameCount: given.frames, frameSize: given.frameSize, checked: false };
  const all: ServeAllOptions = { ...options, wait, umem, data: work };
  // Signals are heard before there is anything to take away.
  const live = await context.live();
  const timers: NodeJS.Timeout[] = [];
  let served: ServedInterface | undefined;
  try {
    served = await serveAll(name, modulePath(), all);
    const { mode, fallback } = served;
    const started = performance.now();
    const interfaceServed = served;
    const show = async (last: boolean): Promise<void> => {
      const columns = await columnsOf(interfaceServed, kind, new Float64Array(answered));
      writeReport(live, json, columns, (performance.now() - started) / 1000, last);
    };
    if (!json) {
      const { queues } = await served.statistics();
      const because = fallback === undefined ? "" : ` (${fallback})`;
      const places = queues.map(({ queue, cpu }) => `${queue} on CPU ${cpu}`).join(", ");
      context.terminal.note(`${name}  queues ${places}  ${mode}${because}  ${queues[0]?.copy ?? ""}`);
    }
    if (given.stats !== undefined)
      timers.push(setInterval(() => void show(false), 1000 * (given.stats === true ? 1 : given.stats)));
    const over = new Promise<void>((resolve) => {
      if (given.for !== undefined) timers.push(setTimeout(resolve, 1000 * given.for));
      if (count > 0) timers.push(setInterval(() => Atomics.load(left, 0) <= 0 && resolve(), LOOK_MS));
    });
    try {
      await Promise.race([over, aborted(context.signal), served.done]);
    } finally {
      for (const timer of timers) clearTimeout(timer);
      await served.stop();
      // Also where an interface went away: the numbers up to then are what there is.
      await show(true);
    }
    await served.done;
    await settle(live.drained(), context.signal);
  } finally {
    for (const timer of timers) clearTimeout(timer);
    await served?.stop();
    live.close();
  }
}

/** A column for each queue, and where there are several, one for all. */
async function columnsOf(served: ServedInterface, kind: string, answered: Float64Array): Promise<Column[]> {
  const { queues, total } = await served.statistics();
  const { interface: name, mode } = served;
  const counts = (n: number): Record<string, number> => (kind === "echo" ? { answered: n } : {});
  const copy = queues[0]?.copy ?? null;
  const columns = queues.map((statistics): Column => {
    const { queue, cpu } = statistics;
    const facts = { interface: name, queue, cpu, mode, copy };
    return { title: `queue ${queue}`, facts, statistics, counts: counts(answered[queue] ?? 0), passed: undefined };
  });
  // The program knows of the interface alone, not of its queues.
  const passed = passedBy(served);
  const [only] = columns;
  if (queues.length === 1 && only !== undefined) return [{ ...only, passed }];
  const sum = answered.reduce((so, n) => so + n, 0);
  const facts = { interface: name, queue: "all", mode, copy };
  return [...columns, { title: "all", facts, statistics: total, counts: counts(sum), passed }];
}
