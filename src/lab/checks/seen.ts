// SPDX-License-Identifier: MIT
import type { Frame, PacketCapture } from "../../capture/index.js";
import { Loop } from "../../loop/index.js";
import { describeFrame, pcapngInterface, pcapngPacket, pcapngSection, pcapngStatistics } from "../../packet/index.js";
import { captureAt } from "../capture.js";
import { findPlace } from "../place.js";
import { timeText } from "./amounts.js";
import { type Bench, Stopped } from "./command.js";
import { failed, type Outcome, passed } from "./outcome.js";
import type { SeenCheck } from "./spec.js";

/** Bytes of packets that are kept for the bundle, and blocks of the ring beside them. */
const MOST_KEPT = 4 << 20;
const BLOCKS = 8;
/** A packet is handed on at most so many milliseconds after it came. */
const RING_DELAY_MS = 25;

/** A capture that began before the steps of its check. */
export class Watcher implements Disposable {
  readonly #check: SeenCheck;
  readonly #loop = new Loop();
  readonly #open: PacketCapture[] = [];
  readonly #kept: Uint8Array[] = [];
  #size = 0;
  #left = 0;
  #seen: Frame[] = [];
  #enough: () => void = () => {};

  /** With `keep`, all packets there are kept for `pcapng`, beside those of the filter. */
  constructor(bench: Bench, check: SeenCheck, keep: boolean) {
    this.#check = check;
    const place = findPlace(bench.lab, check.at);
    try {
      const match = (frame: Frame): void => {
        if (this.#seen.length < check.count) this.#seen.push(frame);
        if (this.#seen.length >= check.count) this.#enough();
      };
      this.#open.push(captureAt(this.#loop, place, check.filter, match, { blocks: BLOCKS }));
      if (keep)
        this.#open.push(captureAt(this.#loop, place, undefined, (frame) => this.#keep(frame), { blocks: BLOCKS }));
    } catch (error) {
      this.close();
      throw error;
    }
  }

  #keep(frame: Frame): void {
    const block = pcapngPacket(frame);
    if (this.#size + block.length > MOST_KEPT) {
      this.#left++;
      return;
    }
    this.#size += block.length;
    this.#kept.push(block);
  }

  /** What was seen since it was opened, and in the check's time from now on. */
  async outcome(signal: AbortSignal): Promise<Outcome> {
    const { count, within, fails, at, filter } = this.#check;
    if (this.#seen.length < count) await this.#wait(within, signal);
    await this.#wait(RING_DELAY_MS, signal);
    if (signal.aborted) throw new Stopped();
    for (const capture of this.#open) capture.drain();
    const n = this.#seen.length;
    const [first] = this.#seen;
    if (n >= count) {
      const text = `${at}: ${describeFrame(first?.data ?? new Uint8Array(0))}`;
      return fails ? failed(`${text}, and should not be seen`) : passed(text);
    }
    const got = n === 0 ? `no packet matches \`${filter}\`` : `${n} of ${count} packets match \`${filter}\``;
    const text = `${at}: ${got} within ${timeText(within)}`;
    return fails && n === 0 ? passed(text) : failed(text);
  }

  #wait(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(done, ms);
      function done(): void {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        resolve();
      }
      signal.addEventListener("abort", done, { once: true });
      this.#enough = this.#seen.length >= this.#check.count ? () => {} : done;
    });
  }

  /** All packets that were kept, as a pcapng file; undefined where none were to be kept. */
  pcapng(): Uint8Array | undefined {
    const [, all] = this.#open;
    if (all === undefined) return undefined;
    const { dropped } = all.counts;
    const time = BigInt(Date.now()) * 1_000_000n;
    const delivered = BigInt(this.#kept.length);
    return Buffer.concat([
      pcapngSection({ application: "xdpctl lab test" }),
      pcapngInterface({ name: this.#check.at }),
      ...this.#kept,
      pcapngStatistics({ time, delivered, dropped: BigInt(dropped + this.#left) }),
    ]);
  }

  close(): void {
    for (const capture of this.#open) capture.close();
    this.#loop.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
