// SPDX-License-Identifier: MIT
import { Readable, Writable } from "node:stream";
import type { XdpctlError } from "../errors/index.js";
import { encodeList, encodeU32, EXIT_KIND, type Frame, FRAME_MAX, GUEST, HOST, WINDOW } from "./frames.js";

export interface GuestCommandOptions {
  readonly argv: readonly [string, ...string[]];
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  /** A folder of the guest with the files `uts`, `net` and `mnt`: it runs in these, at `/` where `cwd` is not there. */
  readonly namespaces?: string;
  readonly uid?: number;
  readonly gid?: number;
  readonly groups?: readonly number[];
  /** The mask of files that it makes; 022 by default. */
  readonly umask?: number;
  /** Which of the streams 0, 1, 2 are one terminal, and its size; none by default. */
  readonly terminal?: { readonly streams: readonly (0 | 1 | 2)[]; readonly rows: number; readonly columns: number };
  /** Its standard output is its standard error. */
  readonly merged?: boolean;
}

/** How a command ended: by itself, by a signal, or before it began (with the errno and what failed). */
export type GuestExit =
  | { readonly kind: "status"; readonly status: number }
  | { readonly kind: "signal"; readonly signal: number }
  | { readonly kind: "failed"; readonly errno: number; readonly what: string };

interface Way {
  send(type: number, data: Uint8Array | undefined, stream: number): void;
  ended(): void;
}

/** The command's streams are read no faster than their readers here read. */
class Output extends Readable {
  readonly #granted: (bytes: number) => void;
  #taken = 0;
  /** Bytes that came and are not granted again: never more than a window, unless it is no agent of ours that writes. */
  #ungranted = 0;

  constructor(granted: (bytes: number) => void) {
    super({ highWaterMark: WINDOW });
    this.#granted = granted;
  }

  received(data: Buffer): void {
    this.#ungranted += data.length;
    if (this.#ungranted > WINDOW) throw new Error("the guest sent more than was granted");
    this.#taken += data.length;
    // Where the reader is behind, the rest is granted when it asks again.
    if (this.push(Buffer.from(data))) this.#grant();
  }

  override _read(): void {
    this.#grant();
  }

  #grant(): void {
    const bytes = this.#taken;
    this.#taken = 0;
    this.#ungranted -= bytes;
    if (bytes > 0) this.#granted(bytes);
  }
}

/** A command that runs in a guest. */
export class GuestCommand {
  readonly #id: number;
  readonly #options: GuestCommandOptions;
  readonly #way: Way;
  #credit = WINDOW;
  #waiting: { data: Buffer; done: (error?: Error | null) => void } | undefined;
  #over = false;
  readonly stdin: Writable;
  readonly stdout: Output;
  readonly stderr: Output;
  /** How it ended, when all that it wrote is here. Rejects with XDPCTL_E_VM_DIED where the guest is gone first. */
  readonly exit: Promise<GuestExit>;
  #settle: { resolve(exit: GuestExit): void; reject(error: Error): void } = { resolve() {}, reject() {} };

  constructor(id: number, options: GuestCommandOptions, way: Way) {
    this.#id = id;
    this.#options = options;
    this.#way = way;
    this.exit = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    this.exit.catch(() => undefined);
    this.stdin = new Writable({
      highWaterMark: WINDOW,
      write: (data: Buffer, _encoding, done) => this.#input(data, done),
      final: (done) => {
        way.send(HOST.eof, undefined, 0);
        done();
      },
    });
    const output = (stream: number): Output => new Output((bytes) => way.send(HOST.credit, encodeU32(bytes), stream));
    this.stdout = output(1);
    this.stderr = output(2);
  }

  /** To be called once, by the agent. */
  start(): void {
    const {
      argv,
      env = {},
      cwd = "/",
      uid = 0,
      gid = 0,
      groups = [],
      umask = 0o22,
      namespaces,
      terminal,
      merged = false,
    } = this.#options;
    const words = [
      `uid=${uid}`,
      `gid=${gid}`,
      `umask=${umask.toString(8)}`,
      `cwd=${cwd}`,
      ...groups.map((group) => `group=${group}`),
      ...(namespaces === undefined ? [] : [`namespaces=${namespaces}`]),
    ];
    if (merged) words.push("merged=1");
    if (terminal !== undefined) {
      const mask = terminal.streams.reduce<number>((bits, stream) => bits | (1 << stream), 0);
      words.push(`terminal=${mask},${terminal.rows},${terminal.columns}`);
    }
    for (const [name, value] of Object.entries(env)) if (value !== undefined) words.push(`e=${name}=${value}`);
    for (const word of argv) words.push(`a=${word}`);
    const list = encodeList(words);
    for (let at = 0; ; at += FRAME_MAX) {
      const last = at + FRAME_MAX >= list.length;
      this.#way.send(HOST.exec, list.subarray(at, at + FRAME_MAX), last ? 0 : 1);
      if (last) return;
    }
  }

  #input(data: Buffer, done: (error?: Error | null) => void): void {
    if (this.#over) {
      done();
      return;
    }
    let at = 0;
    while (at < data.length && this.#credit > 0) {
      const part = data.subarray(at, at + Math.min(FRAME_MAX, this.#credit));
      this.#credit -= part.length;
      at += part.length;
      this.#way.send(HOST.data, part, 0);
    }
    if (at === data.length) done();
    else this.#waiting = { data: data.subarray(at), done };
  }

  /** A frame of this command, from the agent. */
  received({ type, stream, data }: Frame): void {
    switch (type) {
      case GUEST.data:
        (stream === 1 ? this.stdout : this.stderr).received(data);
        return;
      case GUEST.credit: {
        this.#credit += data.readUInt32LE(0);
        const waiting = this.#waiting;
        this.#waiting = undefined;
        if (waiting !== undefined) this.#input(waiting.data, waiting.done);
        return;
      }
      case GUEST.exit:
        this.#ended(exitOf(data));
        return;
    }
  }

  #ended(exit: GuestExit): void {
    if (this.#over) return;
    this.#over = true;
    this.#way.ended();
    this.stdout.push(null);
    this.stderr.push(null);
    // Nobody reads it any more: what waits is thrown away, as a pipe would do.
    this.#waiting?.done();
    this.#waiting = undefined;
    this.#settle.resolve(exit);
  }

  /** The guest is gone. */
  lost(error: XdpctlError): void {
    if (this.#over) return;
    this.#over = true;
    this.stdout.push(null);
    this.stderr.push(null);
    this.#waiting?.done();
    this.#settle.reject(error);
  }

  /** Nobody reads `stream` any more: the command finds that out as it would with a pipe. */
  closeOutput(stream: 1 | 2): void {
    if (!this.#over) this.#way.send(HOST.close, undefined, stream);
  }

  /** Sends a signal, by number, to the command and all that it started in its process group. */
  signal(number: number): void {
    if (!this.#over) this.#way.send(HOST.signal, encodeU32(number), 0);
  }

  resize(rows: number, columns: number): void {
    if (!this.#over) this.#way.send(HOST.windowSize, encodeU32((rows & 0xffff) | (columns << 16)), 0);
  }

  /** Whether it has ended. */
  get over(): boolean {
    return this.#over;
  }

  get id(): number {
    return this.#id;
  }
}

function exitOf(data: Buffer): GuestExit {
  const kind = data.readUInt32LE(0);
  const value = data.readUInt32LE(4);
  if (kind === EXIT_KIND.status) return { kind: "status", status: value };
  if (kind === EXIT_KIND.signal) return { kind: "signal", signal: value };
  return { kind: "failed", errno: value, what: data.toString("utf8", 8) };
}
