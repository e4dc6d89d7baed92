// SPDX-License-Identifier: MIT
import { spawn } from "node:child_process";
import { inNamespaces } from "../../linux/index.js";
import { configureNode } from "../network.js";
import { nodeDir } from "../paths.js";
import { replaceIn } from "../replace.js";
import { hostFilesEnvironment, hostFilesShell } from "./host-files.js";
import type { Argv, Environment, Kind, Place } from "./kind.js";

/** The files that hold a machine's namespaces. */
const files = ({ state, node }: Place): { net: string; mnt: string; uts: string } => {
  const dir = nodeDir(state.name, node.name);
  return { net: `${dir}/net`, mnt: `${dir}/mnt`, uts: `${dir}/uts` };
};

/** Becomes a command in the machine. */
export function becomeInNamespaces(at: Place, argv: Argv, env: Environment): never {
  return replaceIn(files(at), argv, { ...hostFilesEnvironment(at.state.name, at.node, process.env), ...env });
}

/** A machine of namespaces: the host's files and processes, with a network, mounts and a name of its own. */
export const netns: Kind = {
  namespaces: ["net", "mnt", "uts"],

  configure: configureNode,

  environment: ({ state, node }, base) => hostFilesEnvironment(state.name, node, base),

  inside: (at, body) => inNamespaces(files(at), body),

  /** The child inherits the namespaces; a command that is not there is its `error` event. */
  spawn(at, [file, ...args], { stdio = "pipe", detached = false, cwd = process.cwd(), env: more }) {
    const env = { ...this.environment(at, process.env), ...more };
    return this.inside(at, () => spawn(file, args, { env, cwd, stdio, detached }));
  },

  replace: becomeInNamespaces,

  shell: ({ state }, interactive) => hostFilesShell(state.name, interactive),
};
