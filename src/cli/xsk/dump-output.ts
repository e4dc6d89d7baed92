// SPDX-License-Identifier: MIT
import { closeSync, openSync, writeSync } from "node:fs";
import { XdpctlError } from "../../errors/index.js";
import { describeFrame, pcapngInterface, pcapngPacket, pcapngSection } from "../../packet/index.js";
import type { Frame, Packet } from "../../xsk/index.js";
import { ENOUGH, type Live } from "../context.js";
import { clock } from "../eventtext.js";
import { VERSION } from "../version.js";

type Form = "text" | "json" | "pcapng";

/** Bytes that are written at once. */
const CHUNK = 65_536;

/** Frames as lines, JSON or pcapng: what a slow reader would let wait is dropped and counted. */
export class DumpOutput {
  /** Frames that were not shown. */
  lost = 0;
  readonly #live: Live;
  readonly #form: Form;
  readonly #path: string | undefined;
  readonly #file: number | undefined;
  #blocks: Uint8Array[] = [];
  #bytes = 0;
  #failure: unknown;

  /** With `write`, which is not `-`, a file is made or overwritten. Throws XDPCTL_E_NO_FILE. */
  constructor(live: Live, form: Form, { write }: { write?: string }, name: string) {
    this.#live = live;
    this.#form = form;
    this.#path = write;
    if (write !== undefined && write !== "-") this.#file = this.#try(() => openSync(write, "w"));
    if (form !== "pcapng") return;
    this.#put(pcapngSection({ application: `xdpctl ${VERSION}` }));
    this.#put(pcapngInterface({ name, description: "taken by AF_XDP" }));
  }

  #try<T>(act: () => T): T {
    try {
      return act();
    } catch (cause) {
      const reason = (cause as Error).message;
      throw new XdpctlError("XDPCTL_E_NO_FILE", `the frames can't be written to ${this.#path}: ${reason}`, { cause });
    }
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
    if (this.#form === "text") this.#live.write(`${clock(iso)}${rest}  ${text}\n`);
    else this.#live.write(`${JSON.stringify({ time: `${iso.slice(0, -1)}${rest}Z`, length: data.length, text })}\n`);
  }

  hex(packet: Packet): void {
    if (this.#full()) return;
    const text = packet.dump();
    this.#live.write(this.#form === "json" ? `${JSON.stringify({ length: packet.length, dump: text })}\n` : text);
  }

  #full(): boolean {
    if (this.#file !== undefined || this.#live.queued <= ENOUGH) return false;
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
    const file = this.#file;
    if (file === undefined) this.#live.write(bytes);
    else
      this.#try(() => {
        for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
      });
  }

  /** `flush` for a timer: what goes wrong is thrown by `close`. Returns whether it went well. */
  tick(): boolean {
    try {
      this.flush();
    } catch (error) {
      this.#failure ??= error;
    }
    return this.#failure === undefined;
  }

  close(): void {
    this.tick();
    if (this.#file !== undefined) closeSync(this.#file);
    if (this.#failure !== undefined) throw this.#failure;
  }
}
