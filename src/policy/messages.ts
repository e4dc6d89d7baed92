// SPDX-License-Identifier: MIT
import type { ErrorCode } from "../errors/index.js";
import type { LinkEvent, XdpEvent } from "../events/index.js";
import type { GenericAnswer, GenericGroupName, GenericNews, GenericRequest } from "./genl.js";
import type { PolicyMap } from "./maps.js";
import type { PacketFilter } from "./packet-filter.js";
import type { StateDelta, StateMirror } from "./mirror.js";

export interface PolicyLimits {
  /** Milliseconds that a hook may run. */
  hookMs: number;
  /** Milliseconds that the script itself may run when it is loaded. */
  loadMs: number;
  /** Milliseconds after which a worker that does not answer its limits is ended. */
  hardMs: number;
  /** MiB that a policy may hold. */
  memoryMiB: number;
}

export const DEFAULT_LIMITS: PolicyLimits = { hookMs: 100, loadMs: 5000, hardMs: 1000, memoryMiB: 64 };

/** Longest source of a policy, in bytes. */
export const MAX_SOURCE = 1 << 20;

/** The words after the file's name: `NAME=TEXT`, `NAME=@FILE` (its lines), or the same without a name. */
export interface ScriptArguments {
  positional: (string | string[])[];
  named: Record<string, string | string[]>;
}

export type WorkerKind = "policy" | "interactive" | "check";

/** What a worker starts with. */
export interface WorkerStart {
  kind: WorkerKind;
  name: string;
  file: string;
  source: string;
  args: ScriptArguments;
  maps: readonly PolicyMap[];
  limits: PolicyLimits;
  /** CPUs on which the worker is kept; all by default. */
  cpus?: readonly number[] | undefined;
  shared: SharedArrayBuffer;
  /** Frames for packet hooks, and the eventfd that says that some were answered; absent where there are none. */
  packets?: { readonly ring: SharedArrayBuffer; readonly answered: number } | undefined;
  /** The program that asks the routing table, or why there is none. */
  fib?: number | string | undefined;
  state: StateMirror | undefined;
}

/** To the worker. */
export type ToWorker =
  | { type: "maps"; maps: readonly PolicyMap[]; generation: number }
  | { type: "event"; event: LinkEvent | XdpEvent }
  | { type: "reload"; source: string; args: ScriptArguments }
  | { type: "run"; id: number; code: string; expression: boolean }
  | { type: "answer"; id: number; ok: boolean; text: string }
  | { type: "genl"; news: GenericNews }
  | { type: "genl-answer"; id: number; answer: GenericAnswer }
  | { type: "exit" };

/** An error of the script. */
export interface ScriptFailure {
  code: ErrorCode;
  message: string;
  /** 0 where it is not known. */
  line: number;
  hook: string;
  /** Where it was called from. */
  traceback: string[];
  /** How many times the same error came since it was last told. */
  times: number;
}

export type ScriptAction = "block" | "allow" | "limit" | "unblock" | "unallow" | "unlimit";

/** What a script uses, for `policy check`. */
export interface ScriptUse {
  hooks: string[];
  uses: string[];
  /** Globals that are not there, with their lines: most likely typos. */
  unknown: { name: string; line: number }[];
}

/** From the worker; several in one batch. */
export type FromWorker =
  | {
      type: "loaded";
      hooks: string[];
      groups: GenericGroupName[];
      filters: PacketFilter[];
      failure: ScriptFailure | undefined;
    }
  | { type: "failure"; failure: ScriptFailure; fatal: boolean }
  | { type: "log"; text: string }
  | { type: "dropped"; lines: number }
  | { type: "action"; action: ScriptAction; text: string }
  | { type: "hooks"; hooks: string[]; groups: GenericGroupName[]; filters: PacketFilter[] }
  | { type: "state"; delta: StateDelta }
  | { type: "request"; id: number; op: "load" | "unload"; program: string; interface: string }
  | { type: "genl"; id: number; request: GenericRequest }
  | { type: "result"; id: number; output: string[]; values: string[]; failure: ScriptFailure | undefined }
  | { type: "maps"; generation: number }
  | { type: "checked"; use: ScriptUse }
  | { type: "bye" };
