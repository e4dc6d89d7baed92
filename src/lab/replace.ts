// SPDX-License-Identifier: MIT
import { closeSync, openSync } from "node:fs";
import {
  findCommand,
  ownFileSystemContext,
  replaceProcess,
  restoreStandardStreams,
  setNamespace,
} from "../linux/index.js";

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
