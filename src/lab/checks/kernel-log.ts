// SPDX-License-Identifier: MIT
import { readFileSync } from "node:fs";
import { XdpctlError } from "../../errors/index.js";
import { KernelLog } from "../../linux/index.js";
import { findSplats } from "../../vm/index.js";
import { guestFiles, readRecord } from "../kinds/vm/files.js";
import type { Lab } from "../lab.js";
import type { KernelLogResult } from "./report.js";

/** The kernel's log from the moment this is made. One that can't be read is never taken for clean. */
export class LogWatch implements Disposable {
  readonly #log: KernelLog | undefined;
  readonly #off: boolean;
  #reason: string | undefined;
  readonly #lines: string[] = [];
  readonly #guests = new Map<string, readonly string[]>();

  constructor(on: boolean) {
    this.#off = !on;
    if (!on) return;
    try {
      this.#log = new KernelLog();
    } catch (error) {
      this.#reason = XdpctlError.wrap(error).message;
    }
  }

  /** What the kernels logged, with time stamps, guests' behind their names; undefined where nobody knows. */
  get lines(): readonly string[] | undefined {
    this.#read();
    const guests = [...this.#guests].flatMap(([name, lines]) => lines.map((line) => `${name}: ${line}`));
    return this.#log === undefined ? undefined : [...this.#lines, ...guests];
  }

  /** Reads the logs of a lab's guests, from their boots on: they go with the lab. */
  readGuests({ name, spec }: Lab): void {
    if (this.#off) return;
    for (const node of spec.nodes.filter((one) => one.kind === "vm")) {
      const { dmesg, console, record } = guestFiles(name, node.name);
      try {
        // The last words of a kernel that gave up are on its console alone.
        const path = readRecord(record)?.phase === "ended" ? console : dmesg;
        this.#guests.set(node.name, readFileSync(path, "utf8").split("\n"));
      } catch {
        this.#reason ??= `the kernel's log of ${node.name} is gone`;
      }
    }
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
    const guests = [...this.#guests].flatMap(([name, lines]) =>
      findSplats(lines).map((one) => ({ ...one, title: `${name}: ${one.title}` })),
    );
    const splats = [...findSplats(this.#lines), ...guests];
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
