// SPDX-License-Identifier: MIT
import { accessSync, constants, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { XdpctlError } from "../errors/index.js";
import { lastErrno, syscallError } from "./errno.js";
import { addressOf, lazy, libc } from "./ffi.js";

const execve_ = lazy<(path: string, argv: BigUint64Array, envp: BigUint64Array) => number>(
  libc,
  "int execve(const char *, const void *, const void *)",
);
const signal_ = lazy<(signal: number, handler: bigint) => bigint>(libc, "void *signal(int, void *)");

function vector(strings: readonly string[], keep: Buffer[]): BigUint64Array {
  const out = new BigUint64Array(strings.length + 1);
  for (const [i, text] of strings.entries()) {
    const bytes = Buffer.from(`${text}\0`);
    keep.push(bytes);
    out[i] = addressOf(bytes);
  }
  return out;
}

/** Replaces this process by a program (execve(2)): terminal, pipes, signals and exit status are the program's own. */
export function replaceProcess(path: string, argv: readonly string[], env: Record<string, string | undefined>): never {
  const keep: Buffer[] = [];
  const args = vector(argv, keep);
  const pairs = Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${value}`]));
  const environment = vector(pairs, keep);
  // Node ignores SIGPIPE, and an ignored signal stays ignored across execve.
  const ignored = signal_(13, 0n);
  execve_(path, args, environment);
  const number = lastErrno();
  signal_(13, ignored);
  throw syscallError(`starting ${path}`, number, "XDPCTL_E_NO_FILE");
}

/** execvp(3)'s search: the first directory that has it. Throws XDPCTL_E_NO_FILE. */
export function findCommand(name: string, path: string): string {
  if (name.includes("/")) return name;
  for (const dir of path.split(":")) {
    const file = join(dir === "" ? "." : dir, name);
    try {
      accessSync(file, constants.X_OK);
      if (statSync(file).isFile()) return file;
    } catch {
      // Not there: the next directory.
    }
  }
  const shown = JSON.stringify(name).slice(1, -1);
  throw new XdpctlError("XDPCTL_E_NO_FILE", `there is no command \`${shown}\``, {
    remedy: "install it, or give its path",
  });
}

/** Looks at a program before anything is set up for it. Throws XDPCTL_E_NO_FILE. */
export function checkProgram(path: string): void {
  const refuse = (why: string, cause?: unknown): never => {
    throw new XdpctlError("XDPCTL_E_NO_FILE", `${JSON.stringify(path).slice(1, -1)} ${why}`, {
      cause,
      remedy: "name a program: a file that may be executed",
    });
  };
  try {
    if (!statSync(path).isFile()) refuse("is no program");
    accessSync(path, constants.X_OK);
  } catch (error) {
    if (error instanceof XdpctlError) throw error;
    refuse((error as NodeJS.ErrnoException).code === "EACCES" ? "may not be executed" : "is not there", error);
  }
}

/**
 * When a process started, in clock ticks since boot (proc(5), starttime), as text; undefined where there is none. A number
 * that is used again is not the same process: the two together name one.
 */
export function processStart(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The command's name may hold spaces and parentheses: fields count from after the last one. starttime is field 22.
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
  } catch {
    return undefined;
  }
}
