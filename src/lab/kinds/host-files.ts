// SPDX-License-Identifier: MIT
import { existsSync } from "node:fs";
import { shellSettings } from "../files.js";
import { binDir } from "../paths.js";
import type { NodeSpec } from "../spec.js";
import type { Environment } from "./kind.js";

/** Where commands are found for a caller who does not say. */
export const STANDARD_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** The environment of commands in a machine that has the host's files. */
export function hostFilesEnvironment(lab: string, node: NodeSpec, base: Environment): Environment {
  const path = `${binDir(lab)}:${base.PATH ?? STANDARD_PATH}`;
  return { ...base, ...node.env, XDPCTL_LAB: lab, XDPCTL_NODE: node.name, PATH: path };
}

/** The shell there: bash with a prompt that names the machine, else sh. */
export function hostFilesShell(lab: string, interactive: boolean): [string, ...string[]] {
  const bash = ["/bin/bash", "/usr/bin/bash"].find((path) => existsSync(path));
  // Bash takes a socket as standard input for a remote login, and would read ~/.bashrc.
  if (!interactive) return bash === undefined ? ["/bin/sh", "-s"] : [bash, "--norc", "-s"];
  return bash === undefined ? ["/bin/sh", "-i"] : [bash, "--rcfile", shellSettings(lab), "-i"];
}
