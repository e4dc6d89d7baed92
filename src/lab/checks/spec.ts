// SPDX-License-Identifier: MIT

/** A key or value of a map, as the lab file has it. */
export type PlainValue = string | number | { readonly [name: string]: string | number | boolean };

/** What comes before a check: one that must have passed, or a command that must end with 0. */
export type Step = { readonly check: string } | { readonly on: string; readonly exec: readonly [string, ...string[]] };

/** What an output must be, hold, or match. */
export interface OutputSpec {
  readonly equals?: string;
  readonly contains?: string;
  readonly matches?: string;
}

interface Common {
  readonly name: string;
  readonly after: readonly Step[];
  /** Milliseconds in which it must hold. */
  readonly within: number;
  /** It passes when it does not hold, all that time. */
  readonly fails: boolean;
}

export interface PingCheck extends Common {
  readonly kind: "ping";
  readonly from: string;
  /** As the file has it. */
  readonly target: string;
  readonly address: string;
  readonly count: number;
}

export interface ConnectCheck extends Common {
  readonly kind: "tcp" | "udp";
  readonly from: string;
  /** As the file has it. */
  readonly target: string;
  readonly address: string;
  /** The machine that has the address; undefined for one outside of the lab. */
  readonly machine?: string;
  readonly port: number;
}

export interface ExecCheck extends Common {
  readonly kind: "exec";
  readonly on: string;
  readonly exec: readonly [string, ...string[]];
  readonly status: number;
  readonly stdout?: OutputSpec;
  readonly stderr?: OutputSpec;
}

export interface XdpCheck extends Common {
  readonly kind: "xdp";
  readonly on: string;
  readonly interface: string;
  readonly program?: string;
  /** In lower case. */
  readonly verdict?: string;
  readonly atLeast?: number;
  readonly atMost?: number;
}

export interface MapCheck extends Common {
  readonly kind: "map";
  readonly on: string;
  readonly map: string;
  readonly key: PlainValue;
  readonly value?: PlainValue;
}

export interface SeenCheck extends Common {
  readonly kind: "seen";
  /** `machine:interface` or a bridge. */
  readonly at: string;
  readonly filter: string;
  readonly count: number;
}

export interface ThroughputCheck extends Common {
  readonly kind: "throughput";
  readonly from: string;
  readonly to: string;
  readonly address: string;
  /** Bits of payload a second. */
  readonly rate: number;
  /** Milliseconds. */
  readonly duration: number;
}

export type CheckSpec = PingCheck | ConnectCheck | ExecCheck | XdpCheck | MapCheck | SeenCheck | ThroughputCheck;
