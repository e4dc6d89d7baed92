// SPDX-License-Identifier: MIT
import { closeSync, openSync, writeSync } from "node:fs";
import type { CapturedFrame, CaptureHow, XdpCaptureCounts } from "../../capture/index.js";
import { XdpctlError } from "../../errors/index.js";
import { REASONS, VERDICTS } from "../../events/index.js";
import { describeFrame, PcapngFrames, pcapngInterface, pcapngSection, pcapngStatistics } from "../../packet/index.js";
import { ENOUGH, type Live } from "../context.js";
import { clock } from "../eventtext.js";
import { isoTime } from "../lab/capture-output.js";
import { VERSION } from "../version.js";

export type Form = "text" | "json" | "pcapng";

export interface Section {
  readonly filter: string | undefined;
  readonly snaplen: number | undefined;
}

const UNKNOWN = "?";
/** The reasons as comments, made once. */
const COMMENTS = REASONS.map((reason) => Buffer.from(`reason: ${reason}`));

/** One line about the interface, for a file's reader. */
function description({ program, programId, mode, verdicts }: CaptureHow): string {
  const known = verdicts ? "" : "; verdicts unknown, the program is not ours";
  return `XDP ${mode}, program ${program} (id ${programId})${known}`;
}

/** Frames as lines of text or JSON, or as pcapng, in a file or on standard output. */
export class FrameOutput {
  readonly #live: Live;
  readonly #form: Form;
  readonly #how: CaptureHow;
  readonly #path: string | undefined;
  readonly #file: number | undefined;
  readonly #frames = new PcapngFrames();
  #text = "";
  #trouble: XdpctlError | undefined;
  /** Called when nothing more can be written. */
  onTrouble: () => void = () => {};

  /** With `path`, which is not `-`, a file is made or overwritten. Throws XDPCTL_E_NO_FILE. */
  constructor(live: Live, form: Form, how: CaptureHow, path: string | undefined) {
    this.#live = live;
    this.#form = form;
    this.#how = how;
    this.#path = path;
    if (path === undefined || path === "-") return;
    try {
      this.#file = openSync(path, "w");
    } catch (error) {
      throw failure(path, error);
    }
  }

  begin({ filter, snaplen }: Section): void {
    if (this.#form !== "pcapng") return;
    this.#write(pcapngSection({ application: `xdpctl ${VERSION}` }));
    const about = description(this.#how);
    this.#write(
      pcapngInterface({
        name: this.#how.interface,
        description: about,
        ...(filter === undefined ? {} : { filter }),
        ...(snaplen === undefined ? {} : { snaplen }),
      }),
    );
  }

  /** Whether the reader has enough to do. */
  get full(): boolean {
    return this.#live.queued > ENOUGH;
  }

  /** Throws what writing met. */
  check(): void {
    if (this.#trouble !== undefined) throw this.#trouble;
  }

  add(frame: CapturedFrame): void {
    if (this.#form === "pcapng") {
      const { bytes, start, end, length, timeHigh, timeLow, queue, verdict, reason } = frame;
      const comment = reason === 0 ? undefined : COMMENTS[reason];
      this.#frames.add(bytes, start, end, length, timeHigh, timeLow, queue, verdict, comment);
      if (this.#frames.length > ENOUGH) this.flush();
    } else this.#text += this.#form === "text" ? this.#line(frame) : this.#object(frame);
  }

  #line(frame: CapturedFrame): string {
    const iso = isoTime(frame.time);
    const verdict = frame.verdict < 0 ? UNKNOWN : (VERDICTS[frame.verdict] ?? String(frame.verdict));
    const reason = frame.reason === 0 ? "" : (REASONS[frame.reason] ?? String(frame.reason));
    const place = `${this.#how.interface}:${frame.queue}`;
    const what = reason === "" ? verdict : `${verdict} (${reason})`;
    return `${clock(iso)}${iso.slice(23, 26)}  ${place}  ${what.padEnd(4)}  ${describeFrame(frame.data)}\n`;
  }

  #object(frame: CapturedFrame): string {
    const { data, length, queue, verdict, reason } = frame;
    return `${JSON.stringify({
      type: "frame",
      time: isoTime(frame.time),
      interface: this.#how.interface,
      queue,
      verdict: verdict < 0 ? null : (VERDICTS[verdict] ?? String(verdict)),
      reason: verdict < 0 ? null : (REASONS[reason] ?? String(reason)),
      length,
      text: describeFrame(data),
      hex: Buffer.from(data.buffer, data.byteOffset, data.length).toString("hex"),
    })}\n`;
  }

  /** Writes what was added. */
  flush(): void {
    if (this.#text !== "") {
      this.#live.write(this.#text);
      this.#text = "";
    }
    if (this.#frames.length > 0) this.#write(this.#frames.take());
  }

  #write(bytes: Uint8Array): void {
    if (this.#file === undefined) {
      this.#live.write(bytes);
      return;
    }
    if (this.#trouble !== undefined) return;
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(this.#file, bytes, at);
    } catch (error) {
      this.#trouble = failure(this.#path, error);
      this.onTrouble();
    }
  }

  /** How many there were, and how many were lost, ends a pcapng file. */
  finish({ frames, seen, lost }: XdpCaptureCounts): void {
    this.flush();
    if (this.#form !== "pcapng") return;
    const time = BigInt(Date.now()) * 1_000_000n;
    const [delivered, received, dropped] = [BigInt(frames), BigInt(seen), BigInt(lost)];
    this.#write(pcapngStatistics({ time, delivered, received, dropped }));
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
  }
}

function failure(path: string | undefined, error: unknown): XdpctlError {
  const reason = (error as Error).message;
  return new XdpctlError("XDPCTL_E_NO_FILE", `the capture can't be written to ${path}: ${reason}`, { cause: error });
}
