// SPDX-License-Identifier: MIT
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { XdpctlError } from "../../../errors/index.js";
import {
  boundingSet,
  inNamespaces,
  type NamespaceKind,
  syscallError,
  withChildCapabilities,
} from "../../../linux/index.js";
import { shown } from "../../shown.js";
import { type ContainerMark, isAlive } from "../../state.js";
import type { Probe } from "../../waiting.js";
import type { Argv, Ending, Environment, Place, SpawnOptions } from "../kind.js";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"] as const;
/** From a terminal these reach the command by themselves. */
const TYPED: readonly string[] = ["SIGINT", "SIGQUIT"];

/** The container in a machine. Errors: XDPCTL_E_NO_NODE when it has ended. */
export function living({ state, node }: Place): ContainerMark {
  const mark = state.machines[node.name]?.container;
  if (mark !== undefined && isAlive(mark.init)) return mark;
  throw new XdpctlError("XDPCTL_E_NO_NODE", `the container of ${node.name} in the lab ${state.name} has ended`, {
    remedy: "`xdpctl lab deploy` starts it again",
  });
}

const files = (pid: number, kinds: readonly NamespaceKind[]): Partial<Record<NamespaceKind, string>> =>
  Object.fromEntries(kinds.map((kind) => [kind, `/proc/${pid}/ns/${kind}`]));

/** Runs `body` with the calling thread in the container: its network, files and name. */
export function insideContainer<T>(at: Place, body: () => T): T {
  return inNamespaces(files(living(at).init.pid, ["net", "mnt", "uts", "ipc"]), body);
}

/** The container's own variables; of ours, those that are about the terminal. */
export function containerEnvironment({ state, node }: Place, base: Environment): Environment {
  const image = (state.machines[node.name]?.container?.env ?? []).map((one): [string, string] => {
    const at = one.indexOf("=");
    return at < 0 ? [one, ""] : [one.slice(0, at), one.slice(at + 1)];
  });
  const terminal = Object.fromEntries(["TERM", "COLORTERM", "LINES", "COLUMNS"].map((name) => [name, base[name]]));
  return {
    PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    HOME: "/root",
    ...terminal,
    ...Object.fromEntries(image),
    ...node.env,
    XDPCTL_LAB: state.name,
    XDPCTL_NODE: node.name,
  };
}

/** Who commands run as: root, unless the image has a user of its own, who is then that of the first process. */
function userOf({ init, user }: ContainerMark): { uid?: number; gid?: number } {
  if (/^(root|0)?(:|$)/.test(user)) return {};
  const status = readFileSync(`/proc/${init.pid}/status`, "utf8");
  const id = (label: string): number => Number(new RegExp(`^${label}:\\s*(\\d+)`, "m").exec(status)?.[1] ?? 0);
  return { uid: id("Uid"), gid: id("Gid") };
}

/** Runs `start`, which is to start one child, such that the child is a process of the container, with its capabilities. */
function asContainer<T>(mark: ContainerMark, start: () => T): T {
  const kinds = ["cgroup", "ipc", "uts", "net", "pid", "mnt"] as const;
  const allowed = boundingSet(mark.init.pid);
  return inNamespaces(files(mark.init.pid, kinds), () => withChildCapabilities(allowed, start));
}

/** Starts a command in the container; one that is not there is the child's `error` event. */
export function spawnInContainer(at: Place, [file, ...args]: Argv, options: SpawnOptions): ChildProcess {
  const mark = living(at);
  const { stdio = "pipe", detached = false, cwd = mark.workingDir } = options;
  const env = { ...containerEnvironment(at, process.env), ...options.env };
  return asContainer(mark, () => spawn(file, args, { env, cwd, stdio, detached, ...userOf(mark) }));
}

/** A command that is run in the container, to its end, without input. */
export function probeInContainer(at: Place, argv: Argv, timeout: number): Probe {
  const mark = living(at);
  const env = containerEnvironment(at, {}) as NodeJS.ProcessEnv;
  return {
    argv,
    options: { env, cwd: mark.workingDir, ...userOf(mark) },
    timeout,
    around: (start) => asContainer(mark, start),
  };
}

/** Some reasons come as an event, others are thrown. */
function notStarted(at: Place, [file]: Argv, error: unknown): unknown {
  const { code, syscall = "", errno: number = 0 } = error as NodeJS.ErrnoException;
  if (!syscall.startsWith("spawn") || error instanceof XdpctlError) return error;
  const where = `in the container of ${at.node.name}`;
  if (code !== "ENOENT") return syscallError(`starting ${shown(file)} ${where}`, -number, "XDPCTL_E_NO_FILE");
  return new XdpctlError("XDPCTL_E_NO_FILE", `there is no command ${shown(file)} ${where}`, {
    remedy: "install it in the image, or give its path",
  });
}

/**
 * Stands for a command in the container. A process can't move into another PID namespace, only its children are born there:
 * so this one stays, passes signals on, and tells how the command ended.
 */
export async function standFor(at: Place, argv: Argv, env: Environment): Promise<Ending> {
  let child: ChildProcess;
  try {
    child = spawnInContainer(at, argv, { stdio: "inherit", env });
  } catch (error) {
    throw notStarted(at, argv, error);
  }
  const forward = (name: NodeJS.Signals): void => {
    if (!(TYPED.includes(name) && process.stdin.isTTY)) child.kill(name);
  };
  for (const name of SIGNALS) process.on(name, forward);
  return await new Promise<Ending>((resolve, reject) => {
    child.once("error", (error) => reject(notStarted(at, argv, error)));
    child.once("exit", (code, signal) => resolve(signal === null ? { code: code ?? 1 } : { signal }));
  }).finally(() => {
    for (const name of SIGNALS) process.off(name, forward);
  });
}
