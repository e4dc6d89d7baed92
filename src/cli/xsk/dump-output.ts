// SPDX-License-Identifier: MIT
import { describeFrame, PcapngFrames, pcapngInterface, pcapngSection } from "../../packet/index.js";
import type { Frame, Packet } from "../../xsk/index.js";
import type { Live } from "../context.js";
import { clock } from "../eventtext.js";
import { Sink } from "../sink.js";
import { VERSION } from "../version.js";

type Form = "text" | "json" | "pcapng";

/** What frames come here by: `enum xdp_action`. */
const XDP_REDIRECT = 4;
/** Bytes that are written at once. */
const CHUNK = 65_536;

/** Frames as lines, JSON or pcapng: what a slow reader would let wait is dropped and counted. */
export class DumpOutput {
  /** Frames that were not shown. */
  lost = 0;
  readonly #sink: Sink;
  readonly #form: Form;
  readonly #queue: number;
  readonly #frames = new PcapngFrames();

  /** With `write`, which is not `-`, a file is made or overwritten. Throws XDPCTL_E_NO_FILE. */
  constructor(live: Live, form: Form, { write }: { write?: string }, name: string, queue: number) {
    this.#sink = new Sink(live, write, "the frames");
    this.#form = form;
    this.#queue = queue;
    if (form !== "pcapng") return;
    this.#sink.write(pcapngSection({ application: `xdpctl ${VERSION}` }));
    this.#sink.write(pcapngInterface({ name, description: "taken by AF_XDP" }));
  }

  frame({ bytes, start, end }: Pick<Frame, "bytes" | "start" | "end">): void {
    if (this.#full()) return;
    const data = Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start);
    const micros = Math.round((performance.timeOrigin + performance.now()) * 1000);
    if (this.#form === "pcapng") {
      const time = BigInt(micros) * 1000n;
      const [high, low] = [Number(time >> 32n), Number(time & 0xffff_ffffn)];
      const { length } = data;
      this.#frames.add(data, 0, length, length, high, low, this.#queue, XDP_REDIRECT);
      if (this.#frames.length >= CHUNK) this.flush();
      return;
    }
    const rest = String(micros % 1000).padStart(3, "0");
    const iso = new Date(Math.floor(micros / 1000)).toISOString();
    const text = describeFrame(data);
    if (this.#form === "text") this.#sink.write(`${clock(iso)}${rest}  ${text}\n`);
    else this.#sink.write(`${JSON.stringify({ time: `${iso.slice(0, -1)}${rest}Z`, length: data.length, text })}\n`);
  }

  hex(packet: Packet): void {
    if (this.#full()) return;
    const text = packet.dump();
    this.#sink.write(this.#form === "json" ? `${JSON.stringify({ length: packet.length, dump: text })}\n` : text);
  }

  #full(): boolean {
    if (!this.#sink.full) return false;
    this.lost++;
    return true;
  }

  flush(): void {
    if (this.#frames.length > 0) this.#sink.write(this.#frames.take());
  }

  /** `flush` for a timer. Returns whether the file took it: if not, `close` says why. */
  tick(): boolean {
    this.flush();
    return this.#sink.trouble === undefined;
  }

  close(): void {
    this.flush();
    this.#sink.close();
    this.#sink.check();
  }
}
