// SPDX-License-Identifier: MIT
import { closeSync, openSync, writeSync } from "node:fs";
import { XdpctlError } from "../errors/index.js";
import { ENOUGH, type Live } from "./context.js";

/** Where captured frames are written: a file, or standard output, which is bounded by whoever asks `full`. */
export class Sink implements Disposable {
  readonly #live: Live;
  readonly #what: string;
  readonly #path: string | undefined;
  readonly #file: number | undefined;
  #trouble: XdpctlError | undefined;
  /** Called once, when the file takes no more. */
  onTrouble: () => void = () => {};

  /** With a `path` that is not `-`, a file is made or overwritten. `what` is written. Throws XDPCTL_E_NO_FILE. */
  constructor(live: Live, path: string | undefined, what: string) {
    this.#live = live;
    this.#what = what;
    this.#path = path;
    if (path === undefined || path === "-") return;
    try {
      this.#file = openSync(path, "w");
    } catch (error) {
      throw this.#failure(error);
    }
  }

  #failure(cause: unknown): XdpctlError {
    const reason = (cause as Error).message;
    return new XdpctlError("XDPCTL_E_NO_FILE", `${this.#what} can't be written to ${this.#path}: ${reason}`, { cause });
  }

  /** Whether the reader has enough to do. */
  get full(): boolean {
    return this.#live.queued > ENOUGH;
  }

  /** What writing to the file met first; nothing is written after it. */
  get trouble(): XdpctlError | undefined {
    return this.#trouble;
  }

  /** Throws what writing met. */
  check(): void {
    if (this.#trouble !== undefined) throw this.#trouble;
  }

  write(data: Uint8Array | string): void {
    if (this.#file === undefined) {
      this.#live.write(data);
      return;
    }
    if (this.#trouble !== undefined) return;
    const bytes = typeof data === "string" ? Buffer.from(data) : data;
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(this.#file, bytes, at);
    } catch (error) {
      this.#trouble = this.#failure(error);
      this.onTrouble();
    }
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
