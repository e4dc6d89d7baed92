// SPDX-License-Identifier: MIT
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { isatty } from "node:tty";
import { didYouMean, XdpctlError } from "../errors/index.js";
import { inNamespaces, needCapabilities } from "../linux/index.js";
import { shown } from "./shown.js";
import { shellSettings } from "./files.js";
import { type LabInspection, inspectLab } from "./inspect.js";
import { withLabLock } from "./lock.js";
import { binDir, nodeDir } from "./paths.js";
import { removeLab } from "./remove.js";
import { replaceIn } from "./replace.js";
import type { LabSpec } from "./spec.js";
import { bootId, isAlive, labNames, type LabState, machineLives, processMark, readState, writeState } from "./state.js";

export interface SpawnOptions {
  /** By default `pipe`, as everywhere in Node. */
  stdio?: import("node:child_process").StdioOptions;
  /** Variables beside the caller's own and the machine's. */
  env?: Record<string, string | undefined>;
  cwd?: string;
  /** Its own process group, for a terminal or for signals to the whole group. */
  detached?: boolean;
}

export interface NamespacePaths {
  net: string;
  mnt: string;
  uts: string;
}

/** A lab that runs. */
export class Lab implements Disposable {
  readonly state: Readonly<LabState>;

  constructor(state: LabState) {
    this.state = state;
  }

  /** Opens a lab by name. Errors: XDPCTL_E_NO_LAB, XDPCTL_E_LAB_CONFLICT when it is being made or was left unfinished. */
  static open(name: string): Lab {
    const state = readState(name);
    if (state === undefined) {
      throw new XdpctlError("XDPCTL_E_NO_LAB", `there is no lab ${shown(name)}${didYouMean(name, labNames())}`);
    }
    if (state === null || state.boot !== bootId() || state.phase !== "ready") {
      const why = state !== null && isAlive(state.busy) ? "is being made or removed" : "was left unfinished";
      throw new XdpctlError("XDPCTL_E_LAB_CONFLICT", `the lab ${name} ${why}`);
    }
    return new Lab(state);
  }

  get name(): string {
    return this.state.name;
  }

  get spec(): LabSpec {
    return this.state.spec;
  }

  /** The machines' names, in the order of the file. */
  get nodes(): string[] {
    return this.spec.nodes.map((node) => node.name);
  }

  /** Throws XDPCTL_E_NO_NODE for a machine that the lab has not, or whose namespaces are gone. */
  check(node: string): void {
    if (!this.nodes.includes(node)) {
      const hint = didYouMean(node, this.nodes) || `: there are ${this.nodes.join(", ")}`;
      throw new XdpctlError("XDPCTL_E_NO_NODE", `the lab ${this.name} has no machine ${shown(node)}${hint}`);
    }
    if (!machineLives(this.state, node)) {
      const remedy = "`xdpctl lab deploy` makes it anew";
      throw new XdpctlError("XDPCTL_E_NO_NODE", `the machine ${node} of the lab ${this.name} is gone`, { remedy });
    }
  }

  /** The files that hold a machine's namespaces, for setns(2) and nsenter(1). */
  namespaces(node: string): NamespacePaths {
    this.check(node);
    const dir = nodeDir(this.name, node);
    return { net: `${dir}/net`, mnt: `${dir}/mnt`, uts: `${dir}/uts` };
  }

  /** The environment of commands in a machine: `base`, the file's `env`, and how `xdpctl` is found there. */
  environment(
    node: string,
    base: Record<string, string | undefined> = process.env,
  ): Record<string, string | undefined> {
    const own = this.spec.nodes.find((one) => one.name === node)?.env;
    const path = base.PATH ?? "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    return { ...base, ...own, XDPCTL_LAB: this.name, XDPCTL_NODE: node, PATH: `${binDir(this.name)}:${path}` };
  }

  /** Runs `body`, synchronously, with the calling thread in a machine: its network, files and name. */
  inside<T>(node: string, body: () => T): T {
    needCapabilities(`entering the machine ${node}`, "CAP_SYS_ADMIN");
    return inNamespaces({ ...this.namespaces(node) }, body);
  }

  /** Starts a command in a machine. It inherits the namespaces; a command that is not there is the child's `error` event. */
  spawn(node: string, argv: readonly [string, ...string[]], options: SpawnOptions = {}): ChildProcess {
    const env = { ...this.environment(node), ...options.env };
    const cwd = options.cwd ?? process.cwd();
    const [file, ...args] = argv;
    const { stdio = "pipe", detached = false } = options;
    return this.inside(node, () => spawn(file, args, { env, cwd, stdio, detached }));
  }

  /** Becomes a command in a machine: terminal, streams, signals and exit status are then the command's own. */
  replace(node: string, argv: readonly [string, ...string[]], env: Record<string, string | undefined> = {}): never {
    needCapabilities(`entering the machine ${node}`, "CAP_SYS_ADMIN");
    return replaceIn(this.namespaces(node), argv, { ...this.environment(node), ...env });
  }

  /**
   * The shell of this lab's machines: bash with a prompt that names the machine, else sh. Without a terminal it reads its
   * commands from standard input, and prompts for none.
   */
  shellCommand(interactive = isatty(0)): [string, ...string[]] {
    const bash = ["/bin/bash", "/usr/bin/bash"].find((path) => existsSync(path));
    // Bash takes a socket as standard input for a remote login, and would read ~/.bashrc.
    if (!interactive) return bash === undefined ? ["/bin/sh", "-s"] : [bash, "--norc", "-s"];
    return bash === undefined ? ["/bin/sh", "-i"] : [bash, "--rcfile", shellSettings(this.name), "-i"];
  }

  /** What the kernel shows of the lab now. */
  inspect(): LabInspection {
    return inspectLab(this.state);
  }

  /** Takes the lab down. What still runs in its machines is ended. */
  destroy(): void {
    destroy(this.name);
  }

  [Symbol.dispose](): void {
    if (existsSync(nodeDir(this.name, ""))) this.destroy();
  }
}

/** Takes a lab down, in whatever state it is. Errors: XDPCTL_E_NO_LAB, XDPCTL_E_PERMISSION. */
export function destroy(name: string): void {
  if (readState(name) === undefined) {
    throw new XdpctlError("XDPCTL_E_NO_LAB", `there is no lab ${shown(name)}${didYouMean(name, labNames())}`);
  }
  needCapabilities("removing a lab", "CAP_SYS_ADMIN", "CAP_NET_ADMIN");
  withLabLock(() => {
    const state = readState(name);
    if (state === undefined) return;
    if (state !== null && state.boot === bootId()) {
      state.phase = "destroying";
      const busy = processMark(process.pid);
      if (busy !== undefined) state.busy = busy;
      writeState(state);
    }
    removeLab(name, state ?? undefined);
  });
}

export interface LabSummary {
  readonly name: string;
  readonly file: string;
  readonly created: string;
  readonly state: "ready" | "busy" | "unfinished";
  readonly nodes: readonly string[];
  /** The process with which it goes, if any. */
  readonly tied: number | null;
}

/** The labs of this machine, also those that were left unfinished. Needs no privilege. */
export function list(): LabSummary[] {
  return labNames().map((name) => {
    const state = readState(name) ?? undefined;
    const ready = state?.phase === "ready" && state.boot === bootId();
    return {
      name,
      file: state?.spec.file ?? "",
      created: state?.created ?? "",
      state: ready ? "ready" : isAlive(state?.busy) ? "busy" : "unfinished",
      nodes: state?.spec.nodes.map((node) => node.name) ?? [],
      tied: state?.tied?.pid ?? null,
    };
  });
}
