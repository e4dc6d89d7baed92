// SPDX-License-Identifier: MIT
import { closeSync, existsSync, mkdirSync, openSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
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

/**
 * Runs `body` while no other process has the lock `name` of the cache. The kernel gives the lock back when a process
 * dies, however it does. Throws XDPCTL_E_INTERRUPTED, XDPCTL_E_CACHE, XDPCTL_E_PERMISSION.
 */
export async function withCacheLock<T>(name: string, work: Work, body: () => Promise<T>): Promise<T> {
  const file = join(cacheDir(), "locks", name.replaceAll("/", "_"));
  // What needs the C library is loaded only by those who have to write.
  const { tryLock } = await import("../linux/index.js");
  let fd: number;
  try {
    mkdirSync(dirname(file), { recursive: true });
    fd = openSync(file, "a");
  } catch (error) {
    throw cacheError(error);
  }
  try {
    for (let told = false; !tryLock(fd); told = true) {
      if (!told) work.log?.(`another xdpctl works on ${name}: waiting for it`);
      if (work.signal?.aborted) throw interrupted();
      await pause(PAUSE_MS);
    }
    return await body();
  } catch (error) {
    throw cacheError(error);
  } finally {
    closeSync(fd);
  }
}

/**
 * Makes the folder `target` in one step: `body` fills a folder beside it, which then gets its name. What an earlier
 * attempt left is removed first, and nothing is left when `body` fails. The caller has the lock of `target`.
 */
export async function makeFolder(target: string, body: (folder: string) => Promise<void>): Promise<void> {
  const partial = join(dirname(target), `.partial-${basenameOf(target)}`);
  const old = join(dirname(target), `.old-${basenameOf(target)}`);
  for (const leftover of [partial, old]) rmSync(leftover, { recursive: true, force: true });
  mkdirSync(partial, { recursive: true });
  try {
    await body(partial);
    if (existsSync(target)) renameSync(target, old);
    renameSync(partial, target);
  } finally {
    for (const leftover of [partial, old]) rmSync(leftover, { recursive: true, force: true });
  }
}

const basenameOf = (path: string): string => path.slice(path.lastIndexOf("/") + 1);

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
