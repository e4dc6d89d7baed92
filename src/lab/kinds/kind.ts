// SPDX-License-Identifier: MIT
import type { ChildProcess, StdioOptions } from "node:child_process";
import type { XdpctlError } from "../../errors/index.js";
import type { NamespaceKind } from "../../linux/index.js";
import type { InspectedNode } from "../inspect.js";
import type { Machine } from "../machine.js";
import type { LabSpec, NodeSpec } from "../spec.js";
import type { LabState } from "../state.js";
import type { Waiting } from "../waiting.js";

export type Environment = Record<string, string | undefined>;

export interface SpawnOptions {
  /** By default `pipe`, as everywhere in Node. */
  stdio?: StdioOptions;
  /** Variables beside the caller's own and the machine's. */
  env?: Environment;
  cwd?: string;
  /** Its own process group, for a terminal or for signals to the whole group. */
  detached?: boolean;
}

/** How a command ended: by itself, or by a signal. */
export type Ending = { readonly code: number } | { readonly signal: NodeJS.Signals };

export type Argv = readonly [string, ...string[]];

/** How a command ended that was waited for, and what it wrote. */
export interface Ran {
  readonly ok: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

/** What to do with an interface: undefined leaves it up or down; `carrier` is what it will have when it is up. */
export interface LinkWish {
  readonly up?: boolean;
  readonly carrier: boolean;
}

/** A machine of a lab that runs. */
export interface Place {
  readonly state: Readonly<LabState>;
  readonly node: NodeSpec;
}

/** The lab that something was made for, as it is marked. */
export interface Origin {
  readonly lab: string;
  readonly id: string;
  readonly boot: string;
}

/**
 * What differs between kinds of machines. To the lab each machine is a network namespace that holds its ends of the links,
 * and is made, kept and removed the same way; a kind says what lives there, and how commands get in.
 */
export interface Kind {
  /** The namespaces that the lab makes for a machine; `net` is always one of them. */
  readonly namespaces: readonly NamespaceKind[];

  /** Nothing in its network namespace speaks IP: that is for what lives behind it. */
  readonly silent?: boolean;

  /** Throws when this host lacks what the machines need. Nothing of the lab has been made or changed yet. */
  check?(spec: LabSpec, nodes: readonly NodeSpec[]): void;

  /** The links are there: makes the machine's addresses, routes and settings what the file says. */
  configure(state: LabState, node: NodeSpec, before: NodeSpec | undefined, at: Machine): void;

  /**
   * All machines are configured, and their namespaces are files: starts what lives in these, and leaves alone what runs
   * and is right. Returns the names of the machines in which something was started. What it notes in `state` must be
   * enough for `stop` after a crash at any moment.
   */
  start?(state: LabState, spec: LabSpec, nodes: readonly NodeSpec[]): readonly string[];

  /** Ends what `start` started in the machines that `names` has, or in all of the lab. Nothing that isn't the lab's. */
  stop?(state: LabState, names?: readonly string[]): void;

  /**
   * Waits until the machines do what they are there for. The lab is up, and nothing keeps others from making theirs.
   */
  awaitReady?(state: LabState, nodes: readonly NodeSpec[]): Waiting;

  /** The same for what becomes ready by itself: looks once, and throws where there is nothing to wait for any more. */
  isReady?(state: LabState, node: NodeSpec): boolean;

  /** Why nothing can be done in a machine although its namespaces are there. */
  fault?(at: Place): XdpctlError | undefined;

  /** What only this kind has to show in `lab inspect`. */
  inspect?(at: Place): Partial<InspectedNode>;

  /** Where the machine's kernel is not this one: runs a command there, to its end. */
  run?(at: Place, argv: Argv, input?: string): Ran;

  /** Its release, as `uname -r` says it. */
  kernel?(at: Place): string;

  /** Where the machine's own end of a link is not that of its network namespace: sets it, and says how it is. */
  link?(at: Place, name: string, wish: LinkWish): { up: boolean; carrier: boolean };

  /** A machine that was kept, where `configure` does not reach into it: takes it to what the file says; true if it was not so. */
  mend?(at: Place): boolean;

  /** Removes what labs left that have no state to go by: those that are remains. Returns them. */
  collect?(isRemain: (of: Origin) => boolean): readonly Origin[];

  /** The environment of commands in a machine, on top of the caller's `base`. */
  environment(at: Place, base: Environment): Environment;

  /** Runs `body`, synchronously, with the calling thread in the machine. */
  inside<T>(at: Place, body: () => T): T;

  /** Starts a command in a machine. */
  spawn(at: Place, argv: Argv, options: SpawnOptions): ChildProcess;

  /**
   * Becomes a command in a machine, with this process's streams. Where no process can become one, it passes the signals on
   * to the command, and comes back with how that ended.
   */
  replace(at: Place, argv: Argv, env: Environment): Promise<Ending>;

  /** The command that is the machine's shell. */
  shell(at: Place, interactive: boolean): [string, ...string[]];
}
