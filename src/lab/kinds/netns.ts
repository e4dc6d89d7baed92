// SPDX-License-Identifier: MIT
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { inNamespaces } from "../../linux/index.js";
import { shellSettings } from "../files.js";
import { configureNode } from "../network.js";
import { binDir, nodeDir } from "../paths.js";
import { replaceIn } from "../replace.js";
import type { Kind, Place } from "./kind.js";

const STANDARD_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** The files that hold a machine's namespaces. */
const files = ({ state, node }: Place): { net: string; mnt: string; uts: string } => {
  const dir = nodeDir(state.name, node.name);
  return { net: `${dir}/net`, mnt: `${dir}/mnt`, uts: `${dir}/uts` };
};

/** A machine of namespaces: the host's files and processes, with a network, mounts and a name of its own. */
export const netns: Kind = {
  namespaces: ["net", "mnt", "uts"],

  configure: configureNode,

  environment({ state, node }, base) {
    const path = `${binDir(state.name)}:${base.PATH ?? STANDARD_PATH}`;
    return { ...base, ...node.env, XDPCTL_LAB: state.name, XDPCTL_NODE: node.name, PATH: path };
  },

  inside: (at, body) => inNamespaces(files(at), body),

  /** The child inherits the namespaces; a command that is not there is its `error` event. */
  spawn(at, [file, ...args], { stdio = "pipe", detached = false, cwd = process.cwd(), env: more }) {
    const env = { ...this.environment(at, process.env), ...more };
    return this.inside(at, () => spawn(file, args, { env, cwd, stdio, detached }));
  },

  replace(at, argv, env) {
    return replaceIn(files(at), argv, { ...this.environment(at, process.env), ...env });
  },

  /** Bash with a prompt that names the machine, else sh. */
  shell({ state }, interactive) {
    const bash = ["/bin/bash", "/usr/bin/bash"].find((path) => existsSync(path));
    // Bash takes a socket as standard input for a remote login, and would read ~/.bashrc.
    if (!interactive) return bash === undefined ? ["/bin/sh", "-s"] : [bash, "--norc", "-s"];
    return bash === undefined ? ["/bin/sh", "-i"] : [bash, "--rcfile", shellSettings(state.name), "-i"];
  },
};
