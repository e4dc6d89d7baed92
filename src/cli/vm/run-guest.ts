// SPDX-License-Identifier: MIT
import { constants } from "node:os";
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
  run: RunOptions,
  attempt = 1,
): Promise<number> {
  const { timeout, verbose, console: shown, gdb } = run;
  const { Guest } = await import("../../vm/index.js");
  const { signal, terminal } = context;
  const started = performance.now();
  const say = (text: string): void => {
    if (verbose === true) terminal.note(`${text} (${((performance.now() - started) / 1000).toFixed(1)} s)`);
  };
  const guest = Guest.start(options);
  const { name, reason } = guest.accelerator;
  say(`Linux ${options.kernel.version} (${options.kernel.source}) under ${name.toUpperCase()}: ${reason}`);
  say(`root: / over virtiofs (${guest.shared}), ${guest.protection}`);
  if (gdb === true) terminal.note(`gdb -ex 'target remote ${guest.gdbSocket}' ${options.kernel.image}`);
  const follow = shown === true ? followConsole(guest.console, (text) => process.stderr.write(text)) : undefined;
  let late: NodeJS.Timeout | undefined;
  const timedOut =
    timeout === undefined
      ? undefined
      : new Promise<never>((_, reject) => {
          late = setTimeout(() => reject(guest.timedOut(timeout)), timeout * 1000);
        });
  const within = <T>(work: Promise<T>): Promise<T> => (timedOut === undefined ? work : Promise.race([work, timedOut]));
  try {
    const ready = Promise.race([guest.ready(), aborted(signal)]);
    const hello = await within(ready).catch((error) => {
      if (attempt === MOST_BOOTS || !guest.tornBoot(error)) throw error;
      say(`${(error as Error).message}: again`);
      return "again" as const;
    });
    if (hello === "again") {
      await guest[Symbol.asyncDispose]();
      return await once(context, options, command, run, attempt + 1);
    }
    // A signal before the command began ends all of it.
    if (!hello) return 128 + constants.signals[signal.reason as NodeJS.Signals];
    say(`booted: Linux ${hello.kernel}`);
    for (const lease of guest.leases) {
      // Who asked for a network wants to know that there is none, also without -v.
      if (/no DHCP server|setting the lease/.test(lease)) terminal.note(lease);
      else say(lease);
    }
    return await within(follower(guest, command));
  } finally {
    clearTimeout(late);
    follow?.();
    await guest[Symbol.asyncDispose]();
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
    if (exit === "gave up" || (await Promise.race([streams?.done, gaveUp])) === "gave up") {
      process.stderr.write("xdpctl vm run: the guest was ended: the same signal came again and again\n");
      return 128 + constants.signals.SIGKILL;
    }
    await guest.stop();
    return statusOf(exit, command.argv[0]);
  } finally {
    streams?.restore();
  }
}

function statusOf(exit: GuestExit, name: string): number {
  if (exit.kind === "status") return exit.status;
  if (exit.kind === "signal") return 128 + exit.signal;
  const missing = exit.errno === constants.errno.ENOENT && exit.what === "";
  const text = exit.what === "" ? name : `${exit.what}: ${name}`;
  process.stderr.write(`xdpctl vm run: ${text}: ${errorText(exit.errno)}\n`);
  return missing ? 127 : 126;
}

function errorText(number: number): string {
  const known = Object.entries(constants.errno).find(([, value]) => value === number);
  return known?.[0] ?? `errno ${number}`;
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
