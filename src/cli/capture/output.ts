// SPDX-License-Identifier: MIT
import type { CapturedFrame, CaptureHow, XdpCaptureCounts } from "../../capture/index.js";
import { REASONS, VERDICTS } from "../../events/index.js";
import { describeFrame, PcapngFrames, pcapngInterface, pcapngSection, pcapngStatistics } from "../../packet/index.js";
import { ENOUGH, type Live } from "../context.js";
import { clock } from "../eventtext.js";
import { isoTime } from "../lab/capture-output.js";
import { Sink } from "../sink.js";
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
  readonly sink: Sink;
  readonly #form: Form;
  readonly #how: CaptureHow;
  readonly #frames = new PcapngFrames();
  #text = "";

  /** With `path`, which is not `-`, a file is made or overwritten. Throws XDPCTL_E_NO_FILE. */
  constructor(live: Live, form: Form, how: CaptureHow, path: string | undefined) {
    this.sink = new Sink(live, path, "the capture");
    this.#form = form;
    this.#how = how;
  }

  begin({ filter, snaplen }: Section): void {
    if (this.#form !== "pcapng") return;
    this.sink.write(pcapngSection({ application: `xdpctl ${VERSION}` }));
    const about = description(this.#how);
    this.sink.write(
      pcapngInterface({
        name: this.#how.interface,
        description: about,
        ...(filter === undefined ? {} : { filter }),
        ...(snaplen === undefined ? {} : { snaplen }),
      }),
    );
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
      this.sink.write(this.#text);
      this.#text = "";
    }
    if (this.#frames.length > 0) this.sink.write(this.#frames.take());
  }

  /** How many there were, and how many were lost, ends a pcapng file. */
  finish({ frames, seen, lost }: XdpCaptureCounts): void {
    this.flush();
    if (this.#form !== "pcapng") return;
    const time = BigInt(Date.now()) * 1_000_000n;
    const [delivered, received, dropped] = [BigInt(frames), BigInt(seen), BigInt(lost)];
    this.sink.write(pcapngStatistics({ time, delivered, received, dropped }));
  }
}
