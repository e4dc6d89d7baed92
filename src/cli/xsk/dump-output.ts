// SPDX-License-Identifier: MIT
import { describeFrame, pcapngInterface, pcapngPacket, pcapngSection } from "../../packet/index.js";
import type { Frame, Packet } from "../../xsk/index.js";
import type { Live } from "../context.js";
import { clock } from "../eventtext.js";
import { Sink } from "../sink.js";
import { VERSION } from "../version.js";

type Form = "text" | "json" | "pcapng";

/** Bytes that are written at once. */
const CHUNK = 65_536;

/** Frames as lines, JSON or pcapng: what a slow reader would let wait is dropped and counted. */
export class DumpOutput {
  /** Frames that were not shown. */
  lost = 0;
  readonly #sink: Sink;
  readonly #form: Form;
  #blocks: Uint8Array[] = [];
  #bytes = 0;

  /** With `write`, which is not `-`, a file is made or overwritten. Throws XDPCTL_E_NO_FILE. */
  constructor(live: Live, form: Form, { write }: { write?: string }, name: string) {
    this.#sink = new Sink(live, write, "the frames");
    this.#form = form;
    if (form !== "pcapng") return;
    this.#put(pcapngSection({ application: `xdpctl ${VERSION}` }));
    this.#put(pcapngInterface({ name, description: "taken by AF_XDP" }));
  }

  frame({ bytes, start, end }: Pick<Frame, "bytes" | "start" | "end">): void {
    if (this.#full()) return;
    const data = bytes.subarray(start, end);
    const micros = Math.round((performance.timeOrigin + performance.now()) * 1000);
    if (this.#form === "pcapng") {
      this.#put(pcapngPacket({ time: BigInt(micros) * 1000n, direction: "in", data }));
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

  #put(block: Uint8Array): void {
    this.#blocks.push(block);
    this.#bytes += block.length;
    if (this.#bytes >= CHUNK) this.flush();
  }

  flush(): void {
    if (this.#bytes === 0) return;
    const bytes = Buffer.concat(this.#blocks);
    this.#blocks = [];
    this.#bytes = 0;
    this.#sink.write(bytes);
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
