// SPDX-License-Identifier: MIT
import { Worker } from "node:worker_threads";
import { XdpctlError } from "../../errors/index.js";
import type { CopyMode } from "../bind.js";
import type { XskStatistics } from "../counters.js";
import type { FromQueue, QueueStart, ToQueue } from "./messages.js";
import { workerPath } from "./worker-path.js";

/** A queue and its worker, seen from the thread that started it. */
export class QueueWorker {
  readonly queue: number;
  readonly cpu: number;
  /** Resolves with the descriptor of its socket; rejects where it can't be opened. */
  readonly opened: Promise<number>;
  /** Resolves when the worker is gone, with the error that ended it. */
  readonly ended: Promise<XdpctlError | undefined>;
  copy: CopyMode | undefined;
  #last: XskStatistics | undefined;
  #gone = false;
  readonly #worker: Worker;
  readonly #asking: ((statistics: XskStatistics | undefined) => void)[] = [];

  constructor(start: QueueStart) {
    this.queue = start.queue;
    this.cpu = start.cpu;
    // The thread is made by this call: it begins in the network namespace of the calling one.
    const worker = new Worker(workerPath(), { workerData: start, name: `xsk ${start.interface}:${start.queue}` });
    this.#worker = worker;
    let failure: XdpctlError | undefined;
    let over = false;
    this.opened = new Promise((resolve, reject) => {
      worker.on("message", (message: FromQueue) => {
        if (message.kind === "open") {
          this.copy = message.copy;
          resolve(message.fd);
        } else if (message.kind === "statistics") {
          this.#last = message.statistics;
          this.#asking.shift()?.(message.statistics);
        } else {
          over = true;
          this.#last = message.statistics ?? this.#last;
          if (message.error !== undefined) failure = XdpctlError.from(message.error);
        }
      });
      worker.on("error", (error) => {
        failure ??= XdpctlError.wrap(error);
      });
      worker.on("exit", () => reject(failure ?? this.#unexpected()));
    });
    this.opened.catch(() => {});
    this.ended = new Promise((resolve) => {
      worker.on("exit", () => {
        this.#gone = true;
        for (const answer of this.#asking.splice(0)) answer(this.#last);
        resolve(failure ?? (over ? undefined : this.#unexpected()));
      });
    });
  }

  #unexpected(): XdpctlError {
    return new XdpctlError("XDPCTL_E_INTERNAL", `the worker of queue ${this.queue} ended`);
  }

  /** As of now; the last that it had, once it ended. */
  statistics(): Promise<XskStatistics | undefined> {
    if (this.#gone) return Promise.resolve(this.#last);
    return new Promise((resolve) => {
      this.#asking.push(resolve);
      this.#tell("statistics");
    });
  }

  stop(): void {
    this.#tell("stop");
  }

  #tell(message: ToQueue): void {
    this.#worker.postMessage(message);
  }
}
