// SPDX-License-Identifier: MIT
import { monotonicNow } from "../linux/index.js";
import { type Attachments, VERDICT_NAMES, type VerdictCounts, type VerdictName } from "../xdp/index.js";
import { allCounts } from "./status.js";

/** Packets per second, from two passes over the counters. */
export class RateMeter {
  #before = new Map<number, VerdictCounts>();
  #at = monotonicNow();
  #rates = new Map<number, Record<VerdictName, number>>();

  /** One pass, once a second. */
  tick(attachments: Attachments): void {
    const now = monotonicNow();
    const seconds = Number(now - this.#at) / 1e9;
    const counts = allCounts(attachments);
    const rates = new Map<number, Record<VerdictName, number>>();
    for (const [ifindex, after] of counts) {
      const before = this.#before.get(ifindex);
      if (before === undefined || seconds <= 0) continue;
      const pairs = VERDICT_NAMES.map((v) => [v, Math.max(0, Number(after[v].packets - before[v].packets)) / seconds]);
      rates.set(ifindex, Object.fromEntries(pairs) as Record<VerdictName, number>);
    }
    this.#before = counts;
    this.#at = now;
    this.#rates = rates;
  }

  rate(ifindex: number, verdict: VerdictName): number | undefined {
    const rate = this.#rates.get(ifindex)?.[verdict];
    return rate === undefined ? undefined : Math.round(rate * 10) / 10;
  }
}
