// SPDX-License-Identifier: MIT
import type { ErrorObject } from "../errors/index.js";
import type { EventType, XdpctlEvent } from "../events/index.js";

export type Mode = "native" | "generic" | "auto";

export interface LoadParams {
  /** `pass`, `drop`, `guard`, or the absolute path of an object file. */
  program: string;
  /** Which program of the object, when it has several. */
  section?: string;
  interfaces: string[];
  mode: Mode;
  /** Replaces a program that is not ours. */
  force: boolean;
  /** Stays after the controller ends. */
  keep: boolean;
  /** Bytes of the event ring, a power of two; the object's own size by default. */
  ringSize?: number;
  verifierLog?: boolean;
}

export interface Attachment {
  interface: string;
  ifindex: number;
  program: string;
  id: number;
  mode: "native" | "generic";
  /** Why `auto` fell back to generic. */
  fallback?: string;
  replaced?: { program: string; id: number; ours: boolean };
  pinned: boolean;
}

export interface VerdictCount {
  packets: number | string;
  bytes: number | string;
  /** Packets per second over the last second; only where a controller runs. */
  perSecond?: number;
}

export interface InterfaceStatus {
  interface: string;
  ifindex: number;
  up: boolean;
  program: string | null;
  mode: "native" | "generic" | "offloaded" | null;
  id: number | null;
  /** ISO 8601: when the program was loaded. */
  since: string | null;
  /** `unknown`: only root can tell whose it is. */
  owner: "xdpctl" | "other" | "unknown" | null;
  pinned: boolean;
  policies: string[];
  /** Per verdict, lower case; null where the program is not ours. */
  counters: Record<"aborted" | "drop" | "pass" | "tx" | "redirect", VerdictCount> | null;
  /** Events that did not fit into the ring. */
  lost: number | string | null;
}

export interface RuleSpec {
  action: "allow" | "deny" | "limit";
  /** CIDR or address; absent for a rule by port alone. */
  address?: string;
  port?: number;
  proto?: "tcp" | "udp";
  /** Seconds until it expires. */
  expiresIn?: number;
  /** Packets per second and source; `limit` only. */
  rate?: number;
  burst?: number;
  owner?: string;
  /** Restricts to one attachment; all guards of the namespace otherwise. */
  interface?: string;
}

export interface Rule {
  action: "allow" | "deny" | "limit";
  address: string | null;
  port: number | null;
  proto: "tcp" | "udp" | null;
  hits: number | string;
  /** ISO 8601, or null: never. */
  expires: string | null;
  owner: string;
  rate: number | null;
  burst: number | null;
  interfaces: string[];
}

export interface MapSummary {
  id: number;
  name: string;
  type: string;
  keySize: number;
  valueSize: number;
  maxEntries: number;
  interfaces: string[];
}

/** A plain value: keys and values of maps by BTF, 64-bit numbers as number while exact and decimal string beyond. */
export type Plain = null | boolean | number | string | Plain[] | { [name: string]: Plain };

export interface MapEntry {
  key: Plain;
  value: Plain;
}

export interface PolicyStatus {
  name: string;
  file: string;
  state: "running" | "stopped" | "failed";
  hooks: string[];
  calls: number;
  /** Microseconds, of the last 1,024 calls. */
  p50: number | null;
  p99: number | null;
  lost: number;
  blocked: number;
  restarts: number;
  /** The script's arguments, for `policy reload`. */
  args?: string[];
  /** Families whose commands that change the system it may call. */
  genl?: string[];
  lastError: string | null;
}

export interface ControllerInfo {
  pid: number;
  version: string;
  started: string;
  kind: "repl" | "run";
}

/** Which map: a name (of our attachments), `INTERFACE/NAME`, or a kernel id. */
export interface MapTarget {
  map: string;
}

/** Requests: name → parameters and result. */
export interface Methods {
  info: { params: Record<string, never>; result: ControllerInfo };
  /** `log` is the verifier's, where `verifierLog` asked for it. */
  load: { params: LoadParams; result: { attachments: Attachment[]; log?: string } };
  unload: {
    params: { interfaces: string[]; all: boolean; force: boolean };
    result: { detached: { interface: string; program: string; id: number }[] };
  };
  status: {
    params: { interfaces?: string[] };
    result: { interfaces: InterfaceStatus[]; controller: ControllerInfo | null };
  };
  rules: { params: { interface?: string }; result: { rules: Rule[] } };
  "rule.add": { params: RuleSpec; result: { rule: Rule } };
  "rule.delete": { params: RuleSpec & { all?: boolean }; result: { deleted: number } };
  /** The same rule for many addresses: all of them or none. */
  "rules.add": { params: { rule: RuleSpec; addresses: string[] }; result: { rules: Rule[] } };
  "rules.delete": { params: { rule: RuleSpec; addresses: string[] }; result: { deleted: number } };
  "map.list": { params: { all: boolean }; result: { maps: MapSummary[] } };
  "map.dump": { params: MapTarget & { limit?: number }; result: { entries: MapEntry[]; truncated: boolean } };
  "map.get": { params: MapTarget & { key: Plain }; result: MapEntry };
  "map.set": { params: MapTarget & { key: Plain; value: Plain; create?: boolean }; result: MapEntry };
  "map.delete": { params: MapTarget & { key: Plain }; result: { deleted: number } };
  "policy.load": {
    /** `genl`: families whose commands that change the system it may call. */
    params: {
      file: string;
      /** The script itself, where it is in no file; `file` is POLICY_TEXT then. */
      source?: string;
      name?: string;
      args: string[];
      genl?: string[];
    };
    result: { policy: PolicyStatus; replaced: boolean };
  };
  "policy.unload": { params: { name: string }; result: { removed: number } };
  "policy.list": { params: Record<string, never>; result: { policies: PolicyStatus[] } };
  /** One chunk of Lua in the REPL's own sandbox; `expression` prints the values. */
  lua: { params: { code: string; expression: boolean }; result: { output: string[]; values: string[] } };
}

/** In place of the file of a policy that was given as text. */
export const POLICY_TEXT = "(text)";

/** Streams: name → parameters and item. */
export interface Streams {
  events: { params: { types?: EventType[]; interface?: string }; item: XdpctlEvent };
}

export type Method = keyof Methods;
export type Stream = keyof Streams;

/** What answers requests: a controller in this process, one behind the socket, or, for what needs no owner, this process. */
export interface Backend {
  request<M extends Method>(method: M, params: Methods[M]["params"]): Promise<Methods[M]["result"]>;
  /** Calls `item` until the handle is closed or the other side ends; `ended` resolves then. */
  subscribe<S extends Stream>(
    stream: S,
    params: Streams[S]["params"],
    item: (item: Streams[S]["item"]) => void,
  ): Promise<Subscription>;
  /** Ends the chunk of Lua that runs now (`lua`), as Ctrl-C in the REPL does. */
  interruptLua?(): void;
}

export interface Subscription extends Disposable {
  readonly ended: Promise<void>;
  close(): void;
}

/** On the wire: one JSON object a line. An error with id 0 is about the connection, which then ends. */
export type ClientMessage =
  | { id: number; method: Method; params: unknown }
  | { id: number; subscribe: Stream; params: unknown }
  /** Ends a subscription, or interrupts a running `lua` request. */
  | { id: number; cancel: true };
export type ServerMessage =
  | { id: number; result: unknown }
  | { id: number; error: ErrorObject }
  | { id: number; item: unknown }
  | { id: number; end: true };
