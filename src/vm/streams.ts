// SPDX-License-Identifier: MIT
import { createWriteStream } from "node:fs";
import { constants } from "node:os";
import type { Writable } from "node:stream";
import { isatty } from "node:tty";
import { restoreStandardStreams, standardStreamsBlock } from "../linux/index.js";
import type { GuestCommand, GuestCommandOptions } from "./guest-command.js";

/** Signals that are the command's, not ours. */
const FORWARDED = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"] as const;
/** Signals that mean the end; the same one so often within so many ms means us: the guest does not listen any more. */
const ENDING: readonly string[] = ["SIGINT", "SIGTERM", "SIGQUIT"];
const INSISTING = 3;
const INSISTING_MS = 2000;

/** Which of our streams are a terminal: those of the command are one, too. */
export function terminalOf(): GuestCommandOptions["terminal"] {
  const outputs = ([1, 2] as const).filter((fd) => isatty(fd));
  // Input from a terminal is typed for a terminal only where its echo is seen; else it is read line by line here.
  const streams = isatty(0) && outputs.length > 0 ? ([0, ...outputs] as const) : outputs;
  if (streams.length === 0) return undefined;
  const { rows = 24, columns = 80 } = (streams as readonly number[]).includes(1) ? process.stdout : process.stderr;
  return { streams, rows, columns };
}

/** Writes by the thread pool: a reader that stops holds up the command, but no timer and no signal. */
function output(fd: 1 | 2): Writable {
  return createWriteStream("", { fd, autoClose: false });
}

/**
 * Copies what a command writes to one of our streams, to its end. Where that can't be written any more, the command is told
 * as a pipe would tell it; an error that is not just a reader who left is told on standard error.
 */
function copied(command: GuestCommand, fd: 1 | 2): Promise<void> {
  const from = fd === 1 ? command.stdout : command.stderr;
  return new Promise((resolve) => {
    const to = output(fd);
    let failed = false;
    to.on("error", (error: NodeJS.ErrnoException) => {
      if (!failed && error.code !== "EPIPE" && fd === 1) process.stderr.write(`error: writing: ${error.message}\n`);
      failed = true;
      from.unpipe(to);
      from.resume();
      command.closeOutput(fd);
      // The rest is not waited for: nobody will see it.
      if (from.readableEnded) resolve();
    });
    from.pipe(to, { end: false });
    from.on("end", () => {
      if (failed) resolve();
      else to.write("", () => resolve());
    });
  });
}

export interface Streams {
  /** Resolves when all that the command wrote is written. */
  readonly done: Promise<void>;
  restore(): void;
}

/** Ties this process's standard streams, signals and window size to a command in a guest. */
export function tie(command: GuestCommand, terminal: GuestCommandOptions["terminal"], giveUp: () => void): Streams {
  if (!standardStreamsBlock()) restoreStandardStreams();
  const raw = terminal?.streams.includes(0) === true;
  if (raw) process.stdin.setRawMode(true);
  process.stdin.pipe(command.stdin);
  process.stdin.on("error", () => command.stdin.end());
  command.stdin.on("error", () => undefined);
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
  const done = Promise.all([copied(command, 1), copied(command, 2)]).then(() => undefined);
  return {
    done,
    restore: () => {
      for (const [name, handler] of handlers) process.off(name, handler);
      process.off("SIGWINCH", resize);
      process.stdin.unpipe(command.stdin);
      process.stdin.pause();
      if (raw) process.stdin.setRawMode(false);
    },
  };
}
