// SPDX-License-Identifier: MIT
import { dirname, join } from "node:path";
import { STANDARD_PATH } from "../kinds/host-files.js";
import type { Environment } from "../kinds/index.js";
import { packageRoot } from "../paths.js";

/** How this very program is started in a guest, which has the host's files. */
export function ownProgram(...args: readonly string[]): [string, ...string[]] {
  return [process.execPath, join(packageRoot(), "bin", "xdpctl.cjs"), ...args];
}

/** Folders that it needs there, wherever they are. */
export const ownFolders = (): string[] => [packageRoot(), dirname(process.execPath)];

/** The environment of this process for root, who runs what runs in a guest: an ordinary user's path may lack root's tools. */
export function rootEnvironment(): Environment {
  const given = process.env.PATH?.split(":") ?? [];
  const missing = STANDARD_PATH.split(":").filter((dir) => !given.includes(dir));
  return { ...process.env, PATH: [...given, ...missing].join(":") };
}
