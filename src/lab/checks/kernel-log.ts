// SPDX-License-Identifier: MIT
import { XdpctlError } from "../../errors/index.js";
import { KernelLog } from "../../linux/index.js";
import { findSplats } from "../../vm/index.js";
import type { KernelLogResult } from "./report.js";

/** The kernel's log from the moment this is made. One that can't be read is never taken for clean. */
export class LogWatch implements Disposable {
  readonly #log: KernelLog | undefined;
  readonly #off: boolean;
  #reason: string | undefined;
  readonly #lines: string[] = [];

  constructor(on: boolean) {
    this.#off = !on;
    if (!on) return;
    try {
      this.#log = new KernelLog();
    } catch (error) {
      this.#reason = XdpctlError.wrap(error).message;
    }
  }

  /** What the kernel logged, with time stamps; undefined where nobody knows. */
  get lines(): readonly string[] | undefined {
    this.#read();
    return this.#log === undefined ? undefined : this.#lines;
  }

  #read(): void {
    try {
      for (const { time, fromKernel, text } of this.#log?.read() ?? []) {
        // Anybody who may write to /dev/kmsg can write `BUG:` there: only the kernel's own words count.
        if (fromKernel) this.#lines.push(`[${(time / 1e6).toFixed(6).padStart(12)}] ${text}`);
      }
    } catch (error) {
      this.#reason = XdpctlError.wrap(error).message;
    }
    const lost = this.#log?.overruns ?? 0;
    if (lost > 0) this.#reason ??= "the kernel logged more than it keeps: lines were overwritten before they were read";
  }

  result(): KernelLogResult {
    if (this.#off) return { state: "off", splats: [] };
    this.#read();
    const splats = findSplats(this.#lines);
    if (splats.length > 0) return { state: "splat", splats };
    return this.#reason === undefined ? { state: "clean", splats } : { state: "unread", reason: this.#reason, splats };
  }

  close(): void {
    this.#log?.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
