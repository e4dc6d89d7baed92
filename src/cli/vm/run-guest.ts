// SPDX-License-Identifier: MIT
import { constants } from "node:os";
import { errnoText } from "../../linux/index.js";
import type { ConsoleLog, Guest, GuestCommandOptions, GuestExit, GuestOptions, Streams } from "../../vm/index.js";
import { aborted, type Context } from "../context.js";
import type { RunOptions } from "./run-options.js";

/** A boot that the emulation tore is tried so often. */
const MOST_BOOTS = 3;

/** Boots, runs, and ends. Returns the exit status: the command's, or ours where it has none. */
export async function once(
  context: Context,
  options: GuestOptions,
  command: GuestCommandOptions,
  { timeout, verbose, quiet, console: shown, gdb }: RunOptions,
): Promise<number> {
  const { boot, Guest } = await import("../../vm/index.js");
  const { signal, terminal } = context;
  const started = performance.now();
  const say = (text: string): void => {
    if (verbose === true) terminal.note(`${text} (${((performance.now() - started) / 1000).toFixed(1)} s)`);
  };
  let guest: Guest | undefined;
  let follow: (() => void) | undefined;
  const start = async (accelerator = options.accelerator): Promise<Guest> => {
    follow?.();
    guest = Guest.start({ ...options, ...(accelerator === undefined ? {} : { accelerator }) });
    const { name, reason } = guest.accelerator;
    // A terminal shows whose output is whose; elsewhere standard error is the command's.
    const tell = quiet !== true && process.stderr.isTTY ? (text: string) => terminal.note(text) : say;
    tell(`Linux ${options.kernel.version} (${options.kernel.source}) under ${name.toUpperCase()}: ${reason}`);
    say(`root: ${options.root ?? "/"} ${guest.shared}, ${guest.protection}`);
    if (gdb === true) terminal.note(`gdb -ex 'target remote ${guest.gdbSocket}' ${options.kernel.image}`);
    if (shown === true) follow = followConsole(guest.console, (text) => process.stderr.write(text));
    return guest;
  };
  let late: NodeJS.Timeout | undefined;
  const timedOut =
    timeout === undefined
      ? undefined
      : new Promise<never>((_, reject) => {
          late = setTimeout(() => reject((guest as Guest).timedOut(timeout)), timeout * 1000);
        });
  const within = <T>(work: Promise<T>): Promise<T> => (timedOut === undefined ? work : Promise.race([work, timedOut]));
  try {
    const onRetry = (error: Error): void => say(`${error.message}: started again`);
    const booted = await within(boot({ attempts: MOST_BOOTS, start, stopped: aborted(signal), onRetry }));
    // A signal before the command began ends all of it.
    if (booted === undefined) return 128 + constants.signals[signal.reason as NodeJS.Signals];
    say(`booted: Linux ${booted.hello.kernel}`);
    for (const lease of booted.guest.leases) {
      // Who asked for a network wants to know that there is none, also without -v.
      if (/no DHCP server|setting the lease/.test(lease)) terminal.note(lease);
      else say(lease);
    }
    return await within(follower(booted.guest, command));
  } finally {
    clearTimeout(late);
    follow?.();
    await guest?.[Symbol.asyncDispose]();
  }
}

/** Runs the command with our streams, to its end. */
async function follower(guest: Guest, command: GuestCommandOptions): Promise<number> {
  const { tie } = await import("../../vm/index.js");
  const running = guest.exec(command);
  let streams: Streams | undefined;
  const gaveUp = new Promise<"gave up">((resolve) => {
    streams = tie(running, command.terminal, () => resolve("gave up"));
  });
  try {
    const exit = await Promise.race([guest.whileItLives(running.exit), gaveUp]).catch(async (error) => {
      throw await guest.lost(error);
    });
    const complete = exit === "gave up" ? exit : await Promise.race([streams?.done, gaveUp]);
    if (exit === "gave up" || complete === "gave up") {
      process.stderr.write("xdpctl vm run: the guest was ended: the same signal came again and again\n");
      return 128 + constants.signals.SIGKILL;
    }
    await guest.stop();
    const status = statusOf(exit, command.argv[0]);
    return complete === false && status === 0 ? 1 : status;
  } finally {
    streams?.restore();
  }
}

function statusOf(exit: GuestExit, name: string): number {
  if (exit.kind === "status") return exit.status;
  if (exit.kind === "signal") return 128 + exit.signal;
  const missing = exit.errno === constants.errno.ENOENT && exit.what === "";
  const text = exit.what === "" ? name : `${exit.what}: ${name}`;
  process.stderr.write(`xdpctl vm run: ${text}: ${errnoText(exit.errno)}\n`);
  return missing ? 127 : 126;
}

/** Copies what the console says, as it comes. Returns what ends it. */
function followConsole(console: ConsoleLog, write: (text: string) => void): () => void {
  let shown = 0;
  const look = (): void => {
    const text = console.since(shown);
    shown += Buffer.byteLength(text);
    if (text !== "") write(text);
  };
  const timer = setInterval(look, 50);
  return () => {
    clearInterval(timer);
    look();
  };
}
