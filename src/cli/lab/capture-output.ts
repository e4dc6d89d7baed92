// SPDX-License-Identifier: MIT
import type { CaptureCounts, Frame } from "../../lab/index.js";
import { describeFrame, pcapngInterface, pcapngPacket, pcapngSection, pcapngStatistics } from "../../packet/index.js";
import type { Live } from "../context.js";
import { clock } from "../eventtext.js";
import { Sink } from "../sink.js";
import { VERSION } from "../version.js";

/** What packets become: lines of text or JSON, or pcapng in a file or on standard output. */
export type Form = "text" | "json" | "pcapng";

export interface Source {
  readonly lab: string;
  readonly place: string;
  readonly filter?: string;
}

/** `2026-01-02T03:04:05.123456789Z` of nanoseconds. */
export function isoTime(time: bigint): string {
  const seconds = new Date(Number(time / 1_000_000n)).toISOString().slice(0, 19);
  return `${seconds}.${String(time % 1_000_000_000n).padStart(9, "0")}Z`;
}

/** Writes packets in one form. What waits for a slow reader is bounded by whoever asks `full`. */
export class CaptureOutput {
  readonly sink: Sink;
  readonly #form: Form;
  readonly #source: Source;
  #blocks: Uint8Array[] = [];

  /** With `path`, which is not `-`, a file is made or overwritten. Throws XDPCTL_E_NO_FILE. */
  constructor(live: Live, form: Form, source: Source, path: string | undefined) {
    this.sink = new Sink(live, path, "the capture");
    this.#form = form;
    this.#source = source;
    if (form !== "pcapng") return;
    const { lab, place, filter } = source;
    this.#put(pcapngSection({ application: `xdpctl ${VERSION}`, comment: `lab ${lab}` }));
    this.#put(pcapngInterface({ name: place, ...(filter === undefined ? {} : { filter }) }));
  }

  write(frame: Frame): void {
    if (this.#form === "pcapng") this.#put(pcapngPacket(frame));
    else this.#put(Buffer.from(this.#form === "text" ? this.#line(frame) : this.#object(frame)));
  }

  #line({ time, direction, data }: Frame): string {
    const iso = isoTime(time);
    return `${clock(iso)}${iso.slice(23, 26)}  ${direction.padEnd(3)}  ${describeFrame(data)}\n`;
  }

  #object({ time, direction, length, data }: Frame): string {
    const { lab, place } = this.#source;
    const text = describeFrame(data);
    const hex = Buffer.from(data).toString("hex");
    return `${JSON.stringify({ type: "packet", time: isoTime(time), lab, at: place, direction, length, text, hex })}\n`;
  }

  /** What came in one turn is written at once. */
  #put(bytes: Uint8Array): void {
    if (this.#blocks.push(bytes) === 1) queueMicrotask(() => this.flush());
  }

  flush(): void {
    if (this.#blocks.length === 0) return;
    const bytes = Buffer.concat(this.#blocks);
    this.#blocks = [];
    this.sink.write(bytes);
  }

  /** How many there were, and how many were lost, ends a pcapng file. */
  finish({ packets, dropped }: CaptureCounts): void {
    if (this.#form === "pcapng") {
      const time = BigInt(Date.now()) * 1_000_000n;
      this.#put(pcapngStatistics({ time, delivered: BigInt(packets), dropped: BigInt(dropped) }));
    }
    this.flush();
  }
}
