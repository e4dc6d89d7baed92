// SPDX-License-Identifier: MIT
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { packageRoot } from "../../paths.js";
import { hostFilesEnvironment } from "../host-files.js";
import type { Argv, Ending, Environment, Place, SpawnOptions } from "../kind.js";
import { guestFiles } from "./files.js";
import { standIn } from "./stand-in.js";

/** Starts the command that stands for one in the guest. */
export function spawnInGuest({ state, node }: Place, argv: Argv, options: SpawnOptions): ChildProcess {
  const { stdio = "pipe", detached = false, cwd = process.cwd(), env: more } = options;
  const { XDPCTL_NODE: _, ...outside } = process.env;
  const words = [join(packageRoot(), "bin", "xdpctl.cjs"), "lab", "exec", "--lab", state.name, node.name, "--"];
  return spawn(process.execPath, [...words, ...argv], { env: { ...outside, ...more }, cwd, stdio, detached });
}

/** Stands for a command in the guest, with this process's streams, signals and window, to its end. */
export function standInGuest(at: Place, argv: Argv, env: Environment): Promise<Ending> {
  const place = { name: at.node.name, files: guestFiles(at.state.name, at.node.name) };
  return standIn(place, argv, { ...hostFilesEnvironment(at.state.name, at.node, process.env), ...env });
}
