// SPDX-License-Identifier: MIT
import { createWriteStream } from "node:fs";
import { constants } from "node:os";
import type { Writable } from "node:stream";
import { isatty } from "node:tty";
import { restoreStandardStreams } from "../linux/index.js";
import type { GuestCommand, GuestCommandOptions } from "./guest-command.js";

/** Signals that are the command's, not ours. */
const FORWARDED = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"] as const;
/** The same signal so often within so many ms means us: the guest does not listen any more. */
const INSISTING = 3;
const INSISTING_MS = 2000;

/** Which of our streams are a terminal: those of the command are one, too. */
export function terminalOf(): GuestCommandOptions["terminal"] {
  const streams = ([0, 1, 2] as const).filter((fd) => isatty(fd));
  if (streams.length === 0) return undefined;
  const { rows = 24, columns = 80 } = streams.includes(1) ? process.stdout : process.stderr;
  return { streams, rows, columns };
}

/** Writes by the thread pool: a reader that stops holds up the command, but no timer and no signal. */
function output(fd: 1 | 2): Writable {
  return createWriteStream("", { fd, autoClose: false });
}

function copied(from: NodeJS.ReadableStream, fd: 1 | 2): Promise<void> {
  return new Promise((resolve) => {
    const to = output(fd);
    to.on("error", () => {
      // Nobody reads it any more. The command is not told: it runs for its exit status, too.
      from.resume();
    });
    from.pipe(to, { end: false });
    from.on("end", () => to.write("", () => resolve()));
  });
}

export interface Streams {
  /** Resolves when all that the command wrote is written. */
  readonly done: Promise<void>;
  restore(): void;
}

/** Ties this process's standard streams, signals and window size to a command in a guest. */
export function tie(command: GuestCommand, terminal: GuestCommandOptions["terminal"], giveUp: () => void): Streams {
  restoreStandardStreams();
  const raw = terminal?.streams.includes(0) === true && (terminal.streams.includes(1) || terminal.streams.includes(2));
  if (raw) process.stdin.setRawMode(true);
  process.stdin.pipe(command.stdin);
  process.stdin.on("error", () => command.stdin.end());
  command.stdin.on("error", () => undefined);
  const resize = (): void => {
    const { rows = 24, columns = 80 } = process.stdout.isTTY ? process.stdout : process.stderr;
    command.resize(rows, columns);
  };
  if (terminal !== undefined) process.on("SIGWINCH", resize);
  const recent: number[] = [];
  const handlers = FORWARDED.map((name) => {
    const handler = (): void => {
      command.signal(constants.signals[name]);
      const now = Date.now();
      recent.push(now);
      if (recent.filter((time) => now - time < INSISTING_MS).length >= INSISTING) giveUp();
    };
    process.on(name, handler);
    return [name, handler] as const;
  });
  const done = Promise.all([copied(command.stdout, 1), copied(command.stderr, 2)]).then(() => undefined);
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
