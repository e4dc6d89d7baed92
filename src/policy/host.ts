// SPDX-License-Identifier: MIT
import type { FibLookup } from "../bpf/index.js";
import type { GenericRequest } from "./genl.js";
import type { Maps } from "./maps.js";
import type { PolicyLimits, ScriptAction, ScriptArguments, WorkerKind } from "./messages.js";
import type { PacketRing } from "./packet-ring.js";
import type { RuleWriter } from "./rules.js";
import type { Shared } from "./shared.js";

/** What a script's functions act on: the worker around it. */
export interface Host {
  readonly kind: WorkerKind;
  readonly file: string;
  readonly limits: PolicyLimits;
  readonly shared: Shared;
  /** Frames that wait for packet hooks. */
  readonly packets: PacketRing;
  /** Tells the controller that frames were answered. */
  packetsAnswered(): void;
  readonly args: ScriptArguments;
  /** Absent for `policy check`: nothing touches the kernel then. */
  readonly maps: Maps | undefined;
  readonly rules: RuleWriter | undefined;
  /** The kernel's routing table, or why it can't be asked; undefined where nothing touches the kernel. */
  readonly routes: FibLookup | string | undefined;
  log(text: string): void;
  action(action: ScriptAction, text: string): void;
  /** Asks the controller to load or unload a program; the answer comes to the script's callback `id`. */
  request(id: number, op: "load" | "unload", program: string, interfaceName: string): void;
  /** Asks the controller something of generic netlink; the answer comes to the script's request `id`. */
  generic(id: number, request: GenericRequest): void;
  hooksChanged(): void;
}
