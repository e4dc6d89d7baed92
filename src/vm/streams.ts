// SPDX-License-Identifier: MIT
import { write } from "node:fs";
import { constants } from "node:os";
import { Writable } from "node:stream";
import { isatty } from "node:tty";
import { restoreStandardStreams, standardStreamsBlock } from "../linux/index.js";
import type { GuestCommand, GuestCommandOptions } from "./guest-command.js";

/** Signals that are the command's, not ours. */
const FORWARDED = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"] as const;
/** Signals that mean the end; the same one so often within so many ms means us: the guest does not listen any more. */
const ENDING: readonly string[] = ["SIGINT", "SIGTERM", "SIGQUIT"];
const INSISTING = 3;
const INSISTING_MS = 2000;
/** How long a full pipe that does not block is left alone. */
const FULL_MS = 5;

/** Which of our streams are a terminal: those of the command are one, too. */
export function terminalOf(): GuestCommandOptions["terminal"] {
  const outputs = ([1, 2] as const).filter((fd) => isatty(fd));
  // Input from a terminal is typed for a terminal only where its echo is seen; else it is read line by line here.
  const streams = isatty(0) && outputs.length > 0 ? ([0, ...outputs] as const) : outputs;
  if (streams.length === 0) return undefined;
  const { rows = 24, columns = 80 } = (streams as readonly number[]).includes(1) ? process.stdout : process.stderr;
  return { streams, rows, columns };
}

/**
 * Writes by the thread pool: a reader that stops holds up the command, but no timer and no signal. Whoever shares the stream
 * may make it non-blocking at any time; then it is tried again until it takes all.
 */
class Outlet extends Writable {
  readonly #fd: number;

  constructor(fd: 1 | 2) {
    super();
    this.#fd = fd;
  }

  override _write(bytes: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    write(this.#fd, bytes, (error, written) => {
      if (error?.code === "EAGAIN") setTimeout(() => this._write(bytes, _encoding, done), FULL_MS);
      else if (error !== null) done(error);
      else if (written < bytes.length) this._write(bytes.subarray(written), _encoding, done);
      else done();
    });
  }
}

/**
 * Copies what a command writes to one of our streams, to its end. Where that can't be written any more, the command is told
 * as a pipe would tell it; an error that is not just a reader who left is told on standard error.
 */
function copied(command: GuestCommand, fd: 1 | 2): Promise<boolean> {
  const from = fd === 1 ? command.stdout : command.stderr;
  return new Promise((resolve) => {
    const to = new Outlet(fd);
    let failed = false;
    let complete = true;
    to.on("error", (error: NodeJS.ErrnoException) => {
      if (!failed && error.code !== "EPIPE") {
        complete = false;
        if (fd === 1) process.stderr.write(`error: writing: ${error.message}\n`);
      }
      failed = true;
      from.unpipe(to);
      from.resume();
      command.closeOutput(fd);
      // The rest is not waited for: nobody will see it.
      if (from.readableEnded) resolve(complete);
    });
    from.pipe(to, { end: false });
    from.on("end", () => {
      if (failed) resolve(complete);
      else to.write("", () => resolve(complete));
    });
  });
}

export interface Streams {
  /** Resolves when all that the command wrote is written; with false where it could not be, and not for want of a reader. */
  readonly done: Promise<boolean>;
  restore(): void;
}

/** Ties this process's standard streams, signals and window size to a command in a guest. */
export function tie(command: GuestCommand, terminal: GuestCommandOptions["terminal"], giveUp: () => void): Streams {
  const raw = terminal?.streams.includes(0) === true;
  if (raw) process.stdin.setRawMode(true);
  const unfeed = feed(process.stdin, command.stdin);
  // Node made those that it has looked at non-blocking, and others may be the same file.
  if (!standardStreamsBlock()) restoreStandardStreams();
  const resize = (): void => {
    const { rows = 24, columns = 80 } = process.stdout.isTTY ? process.stdout : process.stderr;
    command.resize(rows, columns);
  };
  if (terminal !== undefined) process.on("SIGWINCH", resize);
  const handlers = FORWARDED.map((name) => {
    let recent: number[] = [];
    const handler = (): void => {
      command.signal(constants.signals[name]);
      if (!ENDING.includes(name)) return;
      const now = Date.now();
      recent = [...recent.filter((time) => now - time < INSISTING_MS), now];
      if (recent.length >= INSISTING || command.over) giveUp();
    };
    process.on(name, handler);
    return [name, handler] as const;
  });
  const done = Promise.all([copied(command, 1), copied(command, 2)]).then((all) => all.every(Boolean));
  return {
    done,
    restore: () => {
      for (const [name, handler] of handlers) process.off(name, handler);
      process.off("SIGWINCH", resize);
      unfeed();
      process.stdin.pause();
      if (raw) process.stdin.setRawMode(false);
    },
  };
}

/** As `from.pipe(to)`, which also looks at our outputs, and makes them non-blocking with that. Returns what ends it. */
function feed(from: NodeJS.ReadStream, to: Writable): () => void {
  const more = (bytes: Buffer): void => {
    if (!to.write(bytes)) from.pause();
  };
  const end = (): void => void to.end();
  const resume = (): void => void from.resume();
  from.on("data", more).on("end", end).on("error", end);
  to.on("drain", resume);
  to.on("error", () => undefined);
  return () => {
    from.off("data", more).off("end", end);
    to.off("drain", resume);
  };
}
