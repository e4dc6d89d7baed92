// SPDX-License-Identifier: MIT
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import type { Readable, Writable } from "node:stream";
import { XdpctlError } from "../errors/index.js";

/*
 * A guest asks its host to run `lab` commands, by a port of its own: one JSON object a line, in both directions. Each has the
 * id of its errand, so that what a killed one left in the pipe is nobody's.
 */

/** The port's name, as the guest's kernel has it. */
export const ERRAND_PORT = "xdpctl.lab";
/** Bytes of standard input that may be on their way: more is sent when the host has taken them. */
export const ERRAND_CHUNK = 16 * 1024;
/** How often a client says that it waits; the host gives it up after a dozen of them. */
export const ERRAND_BEAT_MS = 5000;
const SIGPIPE = 13;

export type ErrandRequest =
  | { readonly id: string; readonly run: readonly string[]; readonly cwd: string }
  /** Base64; null is the end of it. */
  | { readonly id: string; readonly input: string | null }
  | { readonly id: string; readonly signal: "SIGINT" | "SIGTERM" }
  /** Said again and again: who says it no longer has ended without a word. */
  | { readonly id: string; readonly waits: true };

export type ErrandAnswer =
  | { readonly id: string; readonly stream: 1 | 2; readonly bytes: string }
  | { readonly id: string; readonly taken: true }
  | { readonly id: string; readonly status: number };

/** Splits what comes into lines; what is longer than `most` is not kept. */
export class Lines {
  #rest = "";
  readonly #most: number;

  constructor(most: number) {
    this.#most = most;
  }

  push(bytes: Buffer): string[] {
    const lines = (this.#rest + bytes.toString("latin1")).split("\n");
    this.#rest = lines.pop() ?? "";
    if (this.#rest.length > this.#most) this.#rest = "";
    return lines.map((line) => Buffer.from(line, "latin1").toString());
  }
}

const PORTS = "/sys/class/virtio-ports";

/** The port of the guest that this process is in; undefined elsewhere, and where the lab's file gives it none. */
export function errandPort(): string | undefined {
  if (process.env.XDPCTL_NODE === undefined || !existsSync(PORTS)) return undefined;
  const found = readdirSync(PORTS).find((port) => {
    try {
      return readFileSync(`${PORTS}/${port}/name`, "utf8").trim() === ERRAND_PORT;
    } catch {
      return false;
    }
  });
  return found === undefined ? undefined : `/dev/${found}`;
}

export interface ErrandOptions {
  readonly input?: Readable | undefined;
  readonly output: Writable;
  readonly errors: Writable;
  /** Aborting it ends the command: by SIGTERM where that is the reason, else as Ctrl-C does. */
  readonly signal?: AbortSignal | undefined;
}

/** Has the host run `lab …`. Returns its exit status. Errors: XDPCTL_E_LAB_CONFLICT, XDPCTL_E_DISCONNECTED. */
export async function runErrand(port: string, run: readonly string[], options: ErrandOptions): Promise<number> {
  const file = await openPort(port);
  const id = `${process.pid}-${process.hrtime.bigint()}`;
  const send = (request: ErrandRequest): Promise<unknown> => file.write(`${JSON.stringify(request)}\n`);
  const say = (request: ErrandRequest): void => void send(request).catch(() => undefined);
  const { input, output, errors, signal } = options;
  const interrupt = (): void => say({ id, signal: signal?.reason === "SIGTERM" ? "SIGTERM" : "SIGINT" });
  let taken = (): void => {};
  let broken = false;
  const gone = (): void => {
    broken = true;
    say({ id, signal: "SIGTERM" });
  };
  output.on("error", gone);
  const beat = setInterval(() => say({ id, waits: true }), ERRAND_BEAT_MS);
  try {
    // The end of what a client before may have left unfinished.
    await file.write("\n");
    await send({ id, run, cwd: process.cwd() });
    signal?.addEventListener("abort", interrupt);
    void feed(input, async (bytes) => {
      const answered = new Promise<void>((resolve) => {
        taken = resolve;
      });
      await send({ id, input: bytes });
      await answered;
    });
    const lines = new Lines(1 << 20);
    const buffer = Buffer.alloc(1 << 16);
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, buffer.length, null);
      if (bytesRead === 0) {
        throw new XdpctlError("XDPCTL_E_DISCONNECTED", "nobody on the host answers this guest", {
          remedy: "`xdpctl lab deploy` on the host starts it anew",
        });
      }
      for (const line of lines.push(buffer.subarray(0, bytesRead))) {
        const answer = answerIn(line);
        if (answer?.id !== id) continue;
        if ("status" in answer) return broken ? 128 + SIGPIPE : answer.status;
        if ("taken" in answer) taken();
        else if (!broken) await write(answer.stream === 1 ? output : errors, Buffer.from(answer.bytes, "base64"));
      }
    }
  } finally {
    clearInterval(beat);
    output.off("error", gone);
    signal?.removeEventListener("abort", interrupt);
    await file.close();
  }
}

/** What is none is the end of an answer to somebody else. */
function answerIn(line: string): ErrandAnswer | undefined {
  try {
    return JSON.parse(line) as ErrandAnswer;
  } catch {
    return undefined;
  }
}

async function openPort(port: string): Promise<FileHandle> {
  try {
    return await open(port, "r+");
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === "EBUSY") {
      throw new XdpctlError("XDPCTL_E_LAB_CONFLICT", "another `lab` command of this guest still runs", {
        remedy: "one runs at a time: wait for it, or end it",
        cause,
      });
    }
    throw new XdpctlError("XDPCTL_E_PERMISSION", `${port} can't be opened (${code})`, {
      remedy: "`lab` commands in a guest are for its root",
      cause,
    });
  }
}

async function feed(input: Readable | undefined, send: (bytes: string | null) => Promise<void>): Promise<void> {
  try {
    for await (const bytes of input ?? []) {
      const all = bytes as Buffer;
      for (let at = 0; at < all.length; at += ERRAND_CHUNK)
        await send(all.subarray(at, at + ERRAND_CHUNK).toString("base64"));
    }
    await send(null);
  } catch {
    // The errand is over.
  }
}

function write(stream: Writable, bytes: Buffer): Promise<void> {
  return new Promise((resolve) => stream.write(bytes, () => resolve()));
}
