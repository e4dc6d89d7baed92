// SPDX-License-Identifier: MIT
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { XdpctlError } from "../errors/index.js";
import { fullError, interrupted, type Work } from "./cache.js";

/** Debian packages of the commands that are used. */
const PACKAGES: Readonly<Record<string, string>> = {
  "apt-get": "apt",
  "apt-cache": "apt",
  "apt-config": "apt",
  "dpkg-deb": "dpkg",
  depmod: "kmod",
  zstd: "zstd",
  lz4: "lz4",
  xz: "xz-utils",
};

export interface ToolOptions extends Work {
  readonly cwd?: string;
  /** Bytes for its standard input. */
  readonly input?: Uint8Array;
  /** A descriptor that gets its standard output; else that is returned. */
  readonly output?: number;
}

interface Ended {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** An ordinary user's PATH lacks depmod's folder. */
const searchPath = (): string => `${process.env.PATH ?? ""}:/usr/sbin:/sbin:/usr/bin:/bin`;

/** Where a program is. Throws XDPCTL_E_NO_FILE. */
function findTool(name: string): string {
  const folders = searchPath().split(":");
  const found = folders.map((folder) => join(folder, name)).find((path) => path.startsWith("/") && existsSync(path));
  if (found !== undefined) return found;
  const remedy = `install the Debian package ${PACKAGES[name] ?? name}`;
  throw new XdpctlError("XDPCTL_E_NO_FILE", `${name} is not installed`, { remedy });
}

/** What a tool wrote to its standard error; thrown by `runTool` inside of the XdpctlError's `log`. */
function toolError(argv: readonly string[], ended: Ended): XdpctlError {
  const told = ended.stderr.trim();
  if (/No space left on device|Disk quota exceeded/i.test(told)) return fullError(`the output of ${argv[0]}`);
  const lines = told.split("\n").filter((line) => line !== "");
  const worst = lines.filter((line) => /^(E:|Err:|.*error)/i.test(line));
  return new XdpctlError("XDPCTL_E_TOOL", `${argv.slice(0, 6).join(" ")} ended with status ${ended.status}`, {
    lines: (worst.length > 0 ? worst : lines).slice(-5),
    log: told,
  });
}

function stop(child: ChildProcess): void {
  // Its own group: apt-get has helpers.
  try {
    process.kill(-(child.pid ?? 0), "SIGTERM");
  } catch {
    child.kill("SIGTERM");
  }
}

/**
 * Runs a program to its end and returns its standard output. Throws XDPCTL_E_NO_FILE where it isn't installed,
 * XDPCTL_E_INTERRUPTED, XDPCTL_E_CACHE when the disk is full, else XDPCTL_E_TOOL with the last of what it said.
 */
export async function runTool(argv: readonly string[], options: ToolOptions = {}): Promise<string> {
  const [name = "", ...args] = argv;
  const { signal } = options;
  if (signal?.aborted) throw interrupted();
  const child = spawn(findTool(name), args, {
    stdio: [options.input === undefined ? "ignore" : "pipe", options.output ?? "pipe", "pipe"],
    cwd: options.cwd,
    env: { ...process.env, PATH: searchPath(), LC_ALL: "C" },
    // Ctrl-C is for who started it, who then ends it; without a signal it shall end with its starter.
    detached: signal !== undefined,
  });
  const onAbort = (): void => stop(child);
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    const ended = await outcome(child, options.input);
    if (signal?.aborted) throw interrupted();
    if (ended.status !== 0) throw toolError(argv, ended);
    return ended.stdout;
  } finally {
    signal?.removeEventListener("abort", onAbort);
  }
}

function outcome(child: ChildProcess, input: Uint8Array | undefined): Promise<Ended> {
  return new Promise((resolve, reject) => {
    let stdout = "";
    let stderr = "";
    child.stdout?.setEncoding("utf8").on("data", (chunk: string) => {
      stdout += chunk;
    });
    child.stderr?.setEncoding("utf8").on("data", (chunk: string) => {
      stderr = (stderr + chunk).slice(-65_536);
    });
    child.once("error", reject);
    child.once("close", (status) => resolve({ status: status ?? 128, stdout, stderr }));
    // A program that ends before it read all of its input says itself why.
    child.stdin?.on("error", () => {}).end(input);
  });
}
