// SPDX-License-Identifier: MIT
import { isAbsolute } from "node:path";
import { XdpctlError } from "../../errors/index.js";
import { allowedCpus, errno, receiveQueues } from "../../linux/index.js";
import type { VerdictCounts, XdpMode } from "../../xdp/index.js";
import type { CopyMode } from "../bind.js";
import { checkOptions, checkQueue, checkServe } from "../check.js";
import { addStatistics, type XskStatistics } from "../counters.js";
import { failureOf } from "../failure.js";
import { findInterface } from "../interface.js";
import { Redirect, redirectRules } from "../redirect.js";
import type { ServeOptions } from "../serve.js";
import type { XskOptions } from "../options.js";
import type { UmemOptions } from "../umem-options.js";
import type { QueueStart } from "./messages.js";
import { QueueWorker } from "./queue.js";
import { workerPath } from "./worker-path.js";

export interface ServeAllOptions
  extends Omit<XskOptions, "queue" | "redirect" | "onTimestamp">,
    Omit<ServeOptions, "signal" | "loop" | "wait" | "limit"> {
  /** `poll` (the default) or `spin`: a worker has no event loop to wait in. */
  wait?: "poll" | "spin";
  /** The queues; all that the interface uses by default. */
  queues?: readonly number[];
  /** CPUs that the workers are kept on, one after the other; by default those on which this process may run. */
  cpus?: readonly number[];
  /** Each worker has a UMEM of its own, like this. */
  umem?: UmemOptions;
  /** For the module's `start`: anything that the structured clone algorithm copies. */
  data?: unknown;
}

/** The statistics of one queue. */
export interface QueueStatistics extends XskStatistics {
  readonly queue: number;
  /** The CPU that its worker is kept on. */
  readonly cpu: number;
  readonly copy: CopyMode | undefined;
}

/** An interface all of whose queues are served. */
export interface ServedInterface extends AsyncDisposable {
  readonly interface: string;
  readonly mode: XdpMode;
  /** Why `mode: "auto"` fell back to generic. */
  readonly fallback: string | undefined;
  readonly queues: readonly number[];
  /** Resolves after `stop`; rejects with the first worker's error, when all have ended. */
  readonly done: Promise<void>;
  /** Of all queues together, and of each. */
  statistics(): Promise<{ total: XskStatistics; queues: readonly QueueStatistics[] }>;
  /** What the redirect program did with the interface's frames. */
  readonly redirected: VerdictCounts | undefined;
  /** Ends the workers, and waits until nothing is left of them. Never throws: `done` says what went wrong. */
  stop(): Promise<void>;
}

/**
 * Serves all queues of an interface: one worker thread for each, kept on a CPU of its own as far as there are enough, with its
 * own UMEM and socket. The handler is the default export of a module, which each worker loads for itself; a module may
 * export `start({ socket, data })`, too, which is called before the first frame. Resolves when all queues receive.
 *
 * ```js
 * // echo.mjs
 * export default (frame) => {
 *   if (frame.swapMacs()) frame.send();
 * };
 * // main.mjs
 * const served = await serveAll("eth0", new URL("./echo.mjs", import.meta.url));
 * process.once("SIGINT", () => served.stop());
 * await served.done;
 * ```
 *
 * Errors: those of `XskSocket.open`, by `serveAll`; those of `XskSocket.serve` by `done`, after which the other queues have ended,
 * too. XDPCTL_E_USAGE for a module that can't be loaded, or has no handler; XDPCTL_E_HANDLER for what it throws.
 */
export async function serveAll(
  name: string,
  module: URL | string,
  options: ServeAllOptions = {},
): Promise<ServedInterface> {
  const { queues, cpus, umem, data, wait, batch, yieldMs, filter, mode, ...socket } = options;
  const link = findInterface(name);
  if (!link.up) throw failureOf(errno.ENETDOWN, { interface: name, queue: 0 });
  const numbers = queues ?? Array.from({ length: receiveQueues(link.name) }, (_, queue) => queue);
  const allowed = allowedCpus();
  const places = cpus ?? allowed;
  if (numbers.length === 0 || places.length === 0)
    throw new XdpctlError("XDPCTL_E_USAGE", `no ${numbers.length === 0 ? "queue" : "CPU"} to serve ${name} with`);
  for (const queue of numbers) checkQueue(queue);
  for (const cpu of places)
    if (!allowed.includes(cpu))
      throw new XdpctlError("XDPCTL_E_USAGE", `${cpu} is no CPU that this process may run on: ${allowed.join(", ")}`);
  const file = checkModule(module);
  const serving: ServeOptions = {
    ...(wait === undefined ? {} : { wait }),
    ...(batch === undefined ? {} : { batch }),
    ...(yieldMs === undefined ? {} : { yieldMs }),
  };
  checkServe(serving);
  if ((wait as string) === "loop")
    throw new XdpctlError("XDPCTL_E_USAGE", "a worker has no event loop to wait in", { remedy: "wait: poll or spin" });
  checkOptions({ metadata: undefined }, { ...socket, ...(mode === undefined ? {} : { mode }) });
  workerPath();
  checkData({ data, umem, socket });
  const redirect = Redirect.retain(link.name, link.index, {
    ...(mode === undefined ? {} : { mode }),
    rules: redirectRules(filter),
    multiBuffer: socket.multiBuffer ?? false,
  });
  const startOf = (queue: number, i: number): QueueStart => ({
    interface: link.name,
    queue,
    cpu: places[i % places.length] as number,
    module: file,
    data,
    umem: umem ?? {},
    socket,
    serve: serving,
  });
  // All before the first await: the threads must begin in this thread's network namespace.
  const workers: QueueWorker[] = [];
  const stop = (): void => {
    for (const worker of workers) worker.stop();
  };
  try {
    for (const [i, queue] of numbers.entries()) workers.push(new QueueWorker(startOf(queue, i)));
  } catch (error) {
    stop();
    await Promise.all(workers.map(({ ended }) => ended));
    redirect.release();
    throw XdpctlError.wrap(error);
  }
  let counts: (() => VerdictCounts | undefined) | undefined = () => redirect.counts();
  let last: VerdictCounts | undefined;
  const done = whenEnded(workers, stop).finally(() => {
    last = counts?.();
    counts = undefined;
    redirect.release();
  });
  // Whoever does not look at it has `stop` and `statistics`.
  done.catch(() => {});
  try {
    const fds = await Promise.all(workers.map(({ opened }) => opened));
    for (const [i, fd] of fds.entries()) redirect.direct(numbers[i] as number, fd);
  } catch (error) {
    stop();
    await done.catch(() => {});
    throw error;
  }
  const stopped = async (): Promise<void> => {
    stop();
    await done.catch(() => {});
  };
  return {
    interface: link.name,
    mode: redirect.attachment.mode,
    fallback: redirect.attachment.fallback,
    queues: numbers,
    done,
    statistics: () => statisticsOf(workers),
    get redirected() {
      return counts === undefined ? last : counts();
    },
    stop: stopped,
    [Symbol.asyncDispose]: stopped,
  };
}

/** Workers load it by themselves, so that what it is relative to must be said. */
function checkModule(module: URL | string): string {
  const text = String(module);
  if (module instanceof URL || isAbsolute(text) || /^[a-z]+:/.test(text)) return text;
  throw new XdpctlError(
    "XDPCTL_E_USAGE",
    `the handler's module ${JSON.stringify(text)} is neither a URL nor an absolute path`,
    {
      remedy: 'new URL("./echo.mjs", import.meta.url) is one beside the calling module',
    },
  );
}

/** A worker that can't be told what to do would be half made. Throws XDPCTL_E_USAGE. */
function checkData(told: unknown): void {
  try {
    structuredClone(told);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new XdpctlError("XDPCTL_E_USAGE", `what the workers are told can't be copied: ${why}`, {
      cause,
      remedy: "`data` is anything that the structured clone algorithm copies: no functions, no open files",
    });
  }
}

/** Until all have ended: the first that fails ends the others. */
async function whenEnded(workers: readonly QueueWorker[], stop: () => void): Promise<void> {
  let first: XdpctlError | undefined;
  await Promise.all(
    workers.map(async ({ ended }) => {
      const error = await ended;
      first ??= error;
      if (error !== undefined) stop();
    }),
  );
  if (first !== undefined) throw first;
}

async function statisticsOf(workers: readonly QueueWorker[]) {
  const queues = await Promise.all(
    workers.map(async (worker) => {
      const { queue, cpu, copy } = worker;
      return { queue, cpu, copy, ...(await worker.statistics()) } as QueueStatistics;
    }),
  );
  return { total: addStatistics(queues), queues };
}
