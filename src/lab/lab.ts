// SPDX-License-Identifier: MIT
import type { ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { isatty } from "node:tty";
import { didYouMean, XdpctlError } from "../errors/index.js";
import { needCapabilities } from "../linux/index.js";
import { shown } from "./shown.js";
import { type LabInspection, inspectLab } from "./inspect.js";
import {
  type Argv,
  type Ending,
  type Environment,
  type Kind,
  kindOf,
  type Place,
  type SpawnOptions,
} from "./kinds/index.js";
import { withLabLock } from "./lock.js";
import { downError } from "./down.js";
import { nodeDir } from "./paths.js";
import { removeLab } from "./remove.js";
import type { LabSpec } from "./spec.js";
import { bootId, isAlive, labNames, type LabState, machineLives, processMark, readState, writeState } from "./state.js";

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

  /** Throws XDPCTL_E_NO_NODE for a machine that the lab has not, or whose namespaces are gone; XDPCTL_E_VM_… for a guest. */
  check(node: string): void {
    const [kind, at] = this.#named(node);
    const remedy = "`xdpctl lab deploy` makes it anew";
    if (!machineLives(this.state, node)) {
      throw new XdpctlError("XDPCTL_E_NO_NODE", `the machine ${node} of the lab ${this.name} is gone`, { remedy });
    }
    const fault = kind.fault?.(at);
    if (fault === undefined) return;
    throw downError(`the machine ${node} of the lab ${this.name}`, fault, remedy);
  }

  /** The files that hold a machine's namespaces, for setns(2) and nsenter(1). */
  namespaces(node: string): NamespacePaths {
    this.check(node);
    const dir = nodeDir(this.name, node);
    return { net: `${dir}/net`, mnt: `${dir}/mnt`, uts: `${dir}/uts` };
  }

  /** A machine and its kind. Inside of a machine the others look as if they were gone: that is not asked. */
  #named(name: string): [kind: Kind, at: Place] {
    const node = this.spec.nodes.find((one) => one.name === name);
    if (node === undefined) {
      const hint = didYouMean(name, this.nodes) || `: there are ${this.nodes.join(", ")}`;
      throw new XdpctlError("XDPCTL_E_NO_NODE", `the lab ${this.name} has no machine ${shown(name)}${hint}`);
    }
    return [kindOf(node), { state: this.state, node }];
  }

  #living(name: string): [kind: Kind, at: Place] {
    this.check(name);
    return this.#named(name);
  }

  /** The environment of commands in a machine: `base`, the file's `env`, and how `xdpctl` is found there. */
  environment(node: string, base: Environment = process.env): Environment {
    const [kind, at] = this.#named(node);
    return kind.environment(at, base);
  }

  /** Runs `body`, synchronously, with the calling thread in a machine: its network, files and name. */
  inside<T>(node: string, body: () => T): T {
    needCapabilities(`entering the machine ${node}`, "CAP_SYS_ADMIN");
    const [kind, at] = this.#living(node);
    return kind.inside(at, body);
  }

  /** Starts a command in a machine. */
  spawn(node: string, argv: Argv, options: SpawnOptions = {}): ChildProcess {
    needCapabilities(`entering the machine ${node}`, "CAP_SYS_ADMIN");
    const [kind, at] = this.#living(node);
    return kind.spawn(at, argv, options);
  }

  /**
   * Becomes a command in a machine: terminal, streams, signals and exit status are then the command's own. Where a process
   * can't, it stands for the command until that has ended.
   */
  replace(node: string, argv: Argv, env: Environment = {}): Promise<Ending> {
    needCapabilities(`entering the machine ${node}`, "CAP_SYS_ADMIN");
    const [kind, at] = this.#living(node);
    return kind.replace(at, argv, env);
  }

  /**
   * The shell of a machine. Without a terminal it reads its commands from standard input, and prompts for none.
   */
  shellCommand(node: string, interactive = isatty(0)): [string, ...string[]] {
    const [kind, at] = this.#living(node);
    return kind.shell(at, interactive);
  }

  /** What the kernel shows of the lab now. */
  inspect(): LabInspection {
    return inspectLab(this.state);
  }

  /** Takes the lab down. What still runs in its machines is ended. */
  destroy(): void {
    destroyOnHost(this.name);
  }

  [Symbol.dispose](): void {
    if (existsSync(nodeDir(this.name, ""))) this.destroy();
  }
}

/** Takes a lab of the host down, in whatever state it is. Errors: XDPCTL_E_NO_LAB, XDPCTL_E_PERMISSION. */
export function destroyOnHost(name: string): void {
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

export interface HostLabSummary {
  readonly name: string;
  readonly file: string;
  readonly created: string;
  /** `degraded`: one of its machines is down. */
  readonly state: "ready" | "degraded" | "busy" | "unfinished";
  readonly nodes: readonly string[];
  /** The process with which it goes, if any. */
  readonly tied: number | null;
}

/** The labs of this machine, also those that were left unfinished. Needs no privilege. */
export function listOnHost(): HostLabSummary[] {
  return labNames().map((name) => {
    const state = readState(name) ?? undefined;
    const ready = state?.phase === "ready" && state.boot === bootId();
    return {
      name,
      file: state?.spec.file ?? "",
      created: state?.created ?? "",
      state: ready ? readiness(state) : isAlive(state?.busy) ? "busy" : "unfinished",
      nodes: state?.spec.nodes.map((node) => node.name) ?? [],
      tied: state?.tied?.pid ?? null,
    };
  });
}

/** Whether something is known to have ended: what says more is `Lab.inspect`. */
function readiness(state: LabState): "ready" | "degraded" {
  const isDown = state.spec.nodes.some((node) => kindOf(node).fault?.({ state, node }) !== undefined);
  return isDown ? "degraded" : "ready";
}
