// SPDX-License-Identifier: MIT
import { accessSync, closeSync, constants, openSync, statSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import { XdpctlError } from "../errors/index.js";
import { ownFileSystemContext, replaceProcess, restoreStandardStreams, setNamespace } from "../linux/index.js";
import { shown } from "./shown.js";

const ORDER = ["uts", "net", "mnt"] as const;

/** Moves the calling thread into namespaces for good. */
export function enterForGood(paths: Partial<Record<(typeof ORDER)[number], string>>): void {
  const cwd = process.cwd();
  ownFileSystemContext();
  const fds = ORDER.flatMap((kind) => (paths[kind] === undefined ? [] : [[kind, openSync(paths[kind], "r")] as const]));
  for (const [kind, fd] of fds) {
    setNamespace(fd, kind);
    closeSync(fd);
  }
  try {
    process.chdir(cwd);
  } catch {
    process.chdir("/");
  }
}

/** Enters namespaces and becomes a command there. */
export function replaceIn(
  paths: Record<(typeof ORDER)[number], string>,
  argv: readonly [string, ...string[]],
  env: Record<string, string | undefined>,
): never {
  enterForGood(paths);
  const file = findCommand(argv[0], env.PATH ?? "");
  restoreStandardStreams();
  return replaceProcess(file, argv, env);
}

/** execvp(3)'s search: the first directory that has it. */
function findCommand(name: string, path: string): string {
  if (isAbsolute(name) || name.includes("/")) return name;
  for (const dir of path.split(":")) {
    const file = join(dir === "" ? "." : dir, name);
    try {
      accessSync(file, constants.X_OK);
      if (statSync(file).isFile()) return file;
    } catch {
      // Not there: the next directory.
    }
  }
  throw new XdpctlError("XDPCTL_E_NO_FILE", `there is no command ${shown(name)}`, {
    remedy: "install it, or give its path",
  });
}
