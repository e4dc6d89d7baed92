// SPDX-License-Identifier: MIT
import type { CheckSpec } from "./checks/spec.js";

/** One interface of a machine, as it shall be. */
export interface InterfaceSpec {
  readonly name: string;
  /** With prefix lengths: `192.168.5.100/24`. */
  readonly addresses: readonly string[];
  readonly mtu: number;
  readonly mac?: string;
}

export interface RouteSpec {
  /** `10.0.0.0/8`, or `default`. */
  readonly to: string;
  readonly via?: string;
  readonly dev?: string;
}

export interface NodeSpec {
  readonly name: string;
  readonly kind: "netns";
  readonly forward: boolean;
  readonly masquerade: readonly string[];
  readonly interfaces: readonly InterfaceSpec[];
  readonly routes: readonly RouteSpec[];
  readonly sysctls: Readonly<Record<string, string>>;
  readonly env: Readonly<Record<string, string>>;
}

export interface BridgeSpec {
  readonly name: string;
  readonly mtu: number;
}

/** An end of a link: a machine's interface, or a port of a bridge. */
export type EndSpec =
  | { readonly node: string; readonly interface: string }
  | { readonly bridge: string; readonly port: string };

export interface LinkSpec {
  readonly ends: readonly [EndSpec, EndSpec];
  readonly mtu: number;
}

/** A lab as its file says, with every address chosen: the same file gives the same spec on any machine. */
export interface LabSpec {
  readonly name: string;
  /** The file it came from, for messages. */
  readonly file: string;
  readonly nodes: readonly NodeSpec[];
  readonly bridges: readonly BridgeSpec[];
  readonly links: readonly LinkSpec[];
  /** In the order of the file. */
  readonly checks: readonly CheckSpec[];
}
