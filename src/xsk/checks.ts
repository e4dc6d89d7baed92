// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import type { XskOptions } from "./options.js";
import { encodeRule } from "./rule.js";

function refuse(what: string, remedy: string): never {
  throw new XdpctlError("XDPCTL_E_USAGE", what, { remedy });
}

const shown = (value: unknown): string => (typeof value === "string" ? JSON.stringify(value) : String(value));

function word(name: string, value: unknown, words: readonly string[]): void {
  if (value !== undefined && !words.includes(value as string))
    refuse(`${name}: ${shown(value)}`, `${name} is one of ${words.join(", ")}`);
}

/** A whole number from `least` to `most`, or nothing. */
function whole(name: string, value: unknown, least: number, most: number): void {
  if (value !== undefined && !(Number.isInteger(value) && (value as number) >= least && (value as number) <= most))
    refuse(`${name}: ${shown(value)}`, `a whole number, ${least} to ${most}`);
}

const RULE: ReadonlySet<string> = new Set(["protocol", "port", "sourcePort", "to", "from"]);

/** A rule that names what no rule has would take everything. */
function checkFilter(filter: unknown): void {
  if (filter === undefined) return;
  for (const rule of (Array.isArray(filter) ? filter : [filter]) as unknown[]) {
    if (typeof rule !== "object" || rule === null || Array.isArray(rule))
      refuse(`filter: ${shown(rule)} is no rule`, 'a rule is an object, such as { protocol: "udp", port: 53 }');
    const foreign = Object.keys(rule as object).find((name) => !RULE.has(name));
    if (foreign !== undefined) refuse(`filter: a rule has no ${foreign}`, `it may have ${[...RULE].join(", ")}`);
    encodeRule(rule as object);
  }
}

/** What types say, for callers without them. Throws XDPCTL_E_USAGE. */
export function checkOptions(options: Omit<XskOptions, "queue">, metadata: boolean): void {
  const { mode, copy, filter, redirect, busyPoll, sendBudget, onTimestamp } = options;
  word("mode", mode, ["auto", "native", "generic"]);
  word("copy", copy, ["auto", "copy", "zerocopy"]);
  for (const name of ["needWakeup", "multiBuffer"] as const) {
    const value: unknown = options[name];
    if (value !== undefined && typeof value !== "boolean") refuse(`${name}: ${shown(value)}`, "true or false");
  }
  checkFilter(filter);
  const map = redirect as { setBytes?: unknown } | false | null | undefined;
  if (map !== undefined && map !== false && typeof map?.setBytes !== "function")
    refuse("redirect is neither false nor a map", "give the XSKMAP of your program: a BpfMap of xdpctl/bpf");
  if (busyPoll !== undefined) {
    if (typeof busyPoll !== "object" || busyPoll === null)
      refuse(`busyPoll: ${shown(busyPoll)}`, "an object, such as { microseconds: 20, budget: 64 }");
    whole("busyPoll.microseconds", busyPoll.microseconds, 0, 2 ** 31 - 1);
    whole("busyPoll.budget", busyPoll.budget, 0, 65_535);
  }
  whole("sendBudget", sendBudget, 1, 2 ** 31 - 1);
  if (onTimestamp === undefined) return;
  if (typeof onTimestamp !== "function") refuse("onTimestamp is no function", "give a function of one timestamp");
  if (!metadata) refuse("onTimestamp on a UMEM without TX metadata", "Umem.create({ txMetadata: true })");
}

const AsyncFunction = (async () => {}).constructor;

/** A handler is done when it returns: the frame is somebody else's then. Throws XDPCTL_E_USAGE. */
export function checkHandler(handler: unknown): void {
  if (typeof handler !== "function") refuse("the handler is no function", "give a function of one frame");
  if (handler instanceof AsyncFunction)
    refuse(
      "the handler is asynchronous",
      "its frame is valid during the call alone: take() a packet, and go on with that",
    );
}
