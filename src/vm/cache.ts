// SPDX-License-Identifier: MIT
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { XdpctlError } from "../errors/index.js";

const PAUSE_MS = 50;

/** How work on the cache tells what it does, and how it is ended. */
export interface Work {
  readonly log?: ((text: string) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The folder of what can be fetched or built again: `$XDPCTL_CACHE`, `$XDG_CACHE_HOME/xdpctl`, or `~/.cache/xdpctl`. */
export function cacheDir(env: NodeJS.ProcessEnv = process.env): string {
  if (env.XDPCTL_CACHE) return resolve(env.XDPCTL_CACHE);
  const base = env.XDG_CACHE_HOME?.startsWith("/") ? env.XDG_CACHE_HOME : join(homedir(), ".cache");
  return join(base, "xdpctl");
}

/** What a failed write into the cache means to its user; what is no such failure stays what it is. */
export function cacheError(error: unknown): unknown {
  const { code, path } = error as NodeJS.ErrnoException;
  const where = path ?? cacheDir();
  if (code === "ENOSPC" || code === "EDQUOT") return fullError(where, error);
  if (code === "EACCES" || code === "EROFS" || code === "EPERM") {
    const details = { remedy: "set XDPCTL_CACHE to a folder that you can write to", cause: error };
    return new XdpctlError("XDPCTL_E_PERMISSION", `the cache can't be written to: ${where} (${code})`, details);
  }
  if (code === "ENOTDIR" || code === "EEXIST") {
    return new XdpctlError("XDPCTL_E_CACHE", `the cache needs a folder, and ${where} is none`, { cause: error });
  }
  return error;
}

export function fullError(where: string, cause?: unknown): XdpctlError {
  return new XdpctlError("XDPCTL_E_CACHE", `there is no room left for ${where}`, { cause });
}

export function interrupted(): XdpctlError {
  return new XdpctlError("XDPCTL_E_INTERRUPTED", "interrupted");
}

/** The lock `name`, or undefined while another process has it. Closing the descriptor gives it back, as dying does. */
async function tryCacheLock(name: string): Promise<number | undefined> {
  const file = join(cacheDir(), "locks", name);
  // What needs the C library is loaded only by those who have to write.
  const { tryLock } = await import("../linux/index.js");
  mkdirSync(dirname(file), { recursive: true });
  const fd = openSync(file, "a");
  if (tryLock(fd)) return fd;
  closeSync(fd);
  return undefined;
}

/** Runs `body` while no other process has the lock `name`. Throws XDPCTL_E_INTERRUPTED, and what `cacheError` makes. */
export async function withCacheLock<T>(name: string, work: Work, body: () => Promise<T>): Promise<T> {
  let fd: number | undefined;
  try {
    for (let told = false; ; told = true) {
      fd = await tryCacheLock(name);
      if (fd !== undefined) break;
      if (!told) work.log?.(`another xdpctl works on ${name}: waiting for it`);
      if (work.signal?.aborted) throw interrupted();
      await pause(PAUSE_MS);
    }
    return await body();
  } catch (error) {
    throw cacheError(error);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** The lock of a folder of the cache: its last two names. */
const lockOf = (folder: string): string => `${basename(dirname(folder))}-${basename(folder)}`;

/** `withCacheLock` for what makes or removes the folder `target`. */
export function withFolderLock<T>(target: string, work: Work, body: () => Promise<T>): Promise<T> {
  return withCacheLock(lockOf(target), work, body);
}

/**
 * Makes the folder `target` in one step: `body` fills a folder beside it, which then gets its name. Nothing is left when
 * `body` fails. The caller has the lock of `target`.
 */
export async function makeFolder(target: string, body: (folder: string) => Promise<void>): Promise<void> {
  const dir = dirname(target);
  mkdirSync(dir, { recursive: true });
  await sweep(dir, target);
  // Never the folder of an earlier attempt: the tools of a process that was killed may still write there.
  const partial = mkdtempSync(join(dir, `.${basename(target)}.partial-`));
  const old = `${partial}-old`;
  try {
    await body(partial);
    chmodSync(partial, 0o755);
    if (existsSync(target)) renameSync(target, old);
    renameSync(partial, target);
  } finally {
    for (const leftover of [partial, old]) discard(leftover);
  }
}

/** Removes what processes that were killed left in `dir`: that is what nobody has the lock of, but for our own. */
async function sweep(dir: string, own: string): Promise<void> {
  for (const name of readdirSync(dir)) {
    const target = /^\.(.+)\.partial-/.exec(name)?.[1];
    if (target === undefined) continue;
    const fd = target === basename(own) ? undefined : await tryCacheLock(lockOf(join(dir, target)));
    if (fd === undefined && target !== basename(own)) continue;
    discard(join(dir, name));
    if (fd !== undefined) closeSync(fd);
  }
}

/** Removes a folder; what can't be now is removed by the next attempt. */
function discard(folder: string): void {
  try {
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  } catch {}
}

/** Writes a file in one step: readers see the old one or the new one. */
export function writeWhole(path: string, text: string): void {
  const partial = `${path}.${process.pid}.partial`;
  try {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(partial, text);
    renameSync(partial, path);
  } catch (error) {
    rmSync(partial, { force: true });
    throw cacheError(error);
  }
}
