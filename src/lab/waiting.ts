// SPDX-License-Identifier: MIT
import { type ChildProcessByStdio, type SpawnSyncReturns, spawn, spawnSync } from "node:child_process";
import type { Readable } from "node:stream";
import { setTimeout as pause } from "node:timers/promises";
import { XdpctlError } from "../errors/index.js";

/** A command that tells whether there is still something to wait for. */
export interface Probe {
  readonly argv: readonly [string, ...string[]];
  readonly options: { env?: NodeJS.ProcessEnv; cwd?: string; uid?: number; gid?: number };
  /** Milliseconds, after which it is killed. */
  readonly timeout?: number;
  /** Runs `start`, which starts it, where it belongs. */
  around<T>(start: () => T): T;
}

export interface Probed {
  readonly ok: boolean;
  readonly stdout: string;
  readonly stderr: string;
  /** Why it was not started, `ENOENT`, or did not end by itself, `ETIMEDOUT`. */
  readonly code?: string | undefined;
}

/**
 * What waits, one step after the other: it asks for a command's end, which it gets, or for a pause of so many milliseconds.
 * It is the same for who blocks meanwhile and for who can be interrupted.
 */
export type Waiting = Generator<Probe | number, void, Probed>;

const NOTHING: Probed = { ok: true, stdout: "", stderr: "" };
const sleeper = new Int32Array(new SharedArrayBuffer(4));

/** Waits, and blocks. */
export function waitBlocking(waiting: Waiting): void {
  for (let step = waiting.next(NOTHING); step.done !== true; ) {
    const { value } = step;
    if (typeof value === "number") Atomics.wait(sleeper, 0, 0, value);
    step = waiting.next(typeof value === "number" ? NOTHING : probe(value));
  }
}

/** Waits until `signal` ends it. Errors: XDPCTL_E_INTERRUPTED. */
export async function waitAsync(waiting: Waiting, signal?: AbortSignal): Promise<void> {
  const look = (): void => {
    if (signal?.aborted === true) throw interrupted();
  };
  // What has come while nothing could be heard is heard now.
  await new Promise(setImmediate);
  look();
  for (let step = waiting.next(NOTHING); step.done !== true; ) {
    const { value } = step;
    if (typeof value === "number") await pause(value);
    const probed = typeof value === "number" ? NOTHING : await probeAsync(value, signal);
    look();
    step = waiting.next(probed);
  }
}

export const interrupted = (after?: string): XdpctlError =>
  new XdpctlError("XDPCTL_E_INTERRUPTED", after === undefined ? "interrupted" : `interrupted: ${after}`);

function probe({ argv: [file, ...args], options, timeout, around }: Probe): Probed {
  const { status, error, ...done }: SpawnSyncReturns<string> = around(() =>
    spawnSync(file, args, {
      ...options,
      stdio: ["ignore", "pipe", "pipe"],
      encoding: "utf8",
      timeout,
      killSignal: "SIGKILL",
    }),
  );
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  // Of what was not started there is no output.
  return { ok: status === 0, stdout: done.stdout ?? "", stderr: done.stderr ?? "", code };
}

/**
 * In a process group of its own, which is killed as a whole. It is waited for then, too: a container can't end as long as a
 * process in it is not reaped, and nobody else reaps this one.
 */
function probeAsync({ argv: [file, ...args], options, timeout, around }: Probe, signal?: AbortSignal): Promise<Probed> {
  return new Promise((resolve) => {
    const child = around(() => start(file, args, options));
    if (typeof child === "string") return resolve({ ...NOTHING, ok: false, code: child });
    const text = { stdout: "", stderr: "" };
    let killed: string | undefined;
    for (const name of ["stdout", "stderr"] as const) {
      child[name].setEncoding("utf8").on("data", (more: string) => {
        text[name] += more;
      });
    }
    const kill = (code: string): void => {
      killed ??= code;
      // What has left the group may hold these open.
      for (const stream of [child.stdout, child.stderr]) stream.destroy();
      try {
        if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
      } catch {
        // It has ended.
      }
    };
    const abort = (): void => kill("ECANCELED");
    const timer = timeout === undefined ? undefined : setTimeout(kill, timeout, "ETIMEDOUT");
    signal?.addEventListener("abort", abort);
    const end = (ok: boolean, code: string | undefined): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
      resolve({ ok, ...text, code });
    };
    child.once("error", ({ code }: NodeJS.ErrnoException) => end(false, code));
    child.once("close", (status) => end(status === 0, killed));
  });
}

type Started = ChildProcessByStdio<null, Readable, Readable>;

/** The child; or why it could not be started, where that is thrown, as `ENOTDIR` is, and no event. */
function start(file: string, args: readonly string[], options: Probe["options"]): Started | string {
  try {
    return spawn(file, args, { ...options, stdio: ["ignore", "pipe", "pipe"], detached: true });
  } catch (error) {
    const { code, syscall } = error as NodeJS.ErrnoException;
    if (code === undefined || syscall?.startsWith("spawn") !== true) throw error;
    return code;
  }
}
