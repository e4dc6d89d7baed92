// SPDX-License-Identifier: MIT
import { BpfMap } from "../bpf/index.js";
import { XdpctlError } from "../errors/index.js";
import type { XskOptions } from "./options.js";
import type { ServeOptions } from "./serve.js";
import type { Umem } from "./umem.js";
import type { UmemOptions } from "./umem-options.js";

const usage = (message: string, remedy?: string): XdpctlError =>
  new XdpctlError("XDPCTL_E_USAGE", message, remedy === undefined ? {} : { remedy });

function checkOneOf(what: string, value: unknown, allowed: readonly string[]): void {
  if (value === undefined || allowed.includes(value as string)) return;
  throw usage(`${String(value)} is no ${what}: ${allowed.join(", ")}`);
}

/** A name that is misspelt would be as if it were not there. Throws XDPCTL_E_USAGE. */
export function checkNames(what: string, given: object, known: readonly string[]): void {
  if (given === null || typeof given !== "object") throw usage(`${String(given)} is no object of options`);
  const wrong = Object.keys(given).find((name) => !known.includes(name));
  if (wrong !== undefined) throw usage(`${wrong} is no ${what}`, `there are ${known.join(", ")}`);
}

/** What a list of names must have: each of the type's, so that none is forgotten. */
const namesOf = <T>(names: Record<keyof Required<T>, true>): readonly string[] => Object.keys(names);

const SERVE_OPTIONS = namesOf<ServeOptions>({
  wait: true,
  signal: true,
  batch: true,
  yieldMs: true,
  limit: true,
  loop: true,
});
const SOCKET_OPTIONS = namesOf<XskOptions>({
  queue: true,
  mode: true,
  copy: true,
  needWakeup: true,
  rings: true,
  filter: true,
  redirect: true,
  busyPoll: true,
  multiBuffer: true,
  sendBudget: true,
  onTimestamp: true,
});
const UMEM_OPTIONS = namesOf<UmemOptions>({
  frameSize: true,
  frameCount: true,
  headroom: true,
  unaligned: true,
  txMetadata: true,
  checked: true,
});
const RINGS = ["rx", "tx", "fill", "completion"];

/** Throws XDPCTL_E_USAGE for names that a UMEM has not. */
export function checkUmemNames(options: UmemOptions): void {
  checkNames("option of a UMEM", options, UMEM_OPTIONS);
}

/** A whole number between `least` and `most`. */
function checkInteger(what: string, value: unknown, least: number, most: number): void {
  if (Number.isInteger(value) && (value as number) >= least && (value as number) <= most) return;
  throw usage(`${String(value)} is no ${what}: ${least} to ${most}`);
}

/** The kernel keeps the numbers of queues in 16 bits, and cuts off what is above. Throws XDPCTL_E_USAGE. */
export function checkQueue(queue: unknown): void {
  checkInteger("queue", queue, 0, 65_535);
}

/** Throws XDPCTL_E_USAGE. */
export function checkName(name: unknown): void {
  if (typeof name !== "string") throw usage(`${String(name)} is no name of an interface`);
}

/** How many packets a caller asks for. Throws XDPCTL_E_USAGE. */
export function checkCount(n: number): void {
  if (n >>> 0 !== n) throw usage(`${n} packets: a whole number is needed, and not a negative one`);
}

/** What plain JavaScript may say, and the types forbid. Throws XDPCTL_E_USAGE. */
export function checkOptions(umem: Pick<Umem, "metadata">, options: XskOptions): void {
  checkNames("option of a socket", options, SOCKET_OPTIONS);
  checkNames("ring", options.rings ?? {}, RINGS);
  const { queue = 0, mode, copy, redirect, busyPoll, sendBudget = 1, onTimestamp } = options;
  checkQueue(queue);
  checkOneOf("mode", mode, ["auto", "native", "generic"]);
  checkOneOf("copy mode", copy, ["auto", "copy", "zerocopy"]);
  checkInteger("send budget", sendBudget, 1, 2 ** 31 - 1);
  if (redirect !== undefined && redirect !== false && !(redirect instanceof BpfMap))
    throw usage("`redirect` is neither a map nor false", "give it the XSKMAP of your program: `object.maps.NAME`");
  if (busyPoll !== undefined) {
    if (busyPoll === null || typeof busyPoll !== "object") throw usage("`busyPoll` is no object");
    checkInteger("time to poll, in microseconds", busyPoll.microseconds ?? 20, 1, 2 ** 31 - 1);
    checkInteger("budget of a poll", busyPoll.budget ?? 64, 1, 65_535);
  }
  if (onTimestamp !== undefined && umem.metadata === undefined)
    throw usage("there are no timestamps without TX metadata", "make the UMEM with `txMetadata: true`");
}

/** How a socket is to be served. Throws XDPCTL_E_USAGE. */
export function checkServe(options: ServeOptions): void {
  checkNames("option of serve", options, SERVE_OPTIONS);
  const { wait, batch = 1, yieldMs = 1, limit } = options;
  checkOneOf("way to wait", wait, ["loop", "poll", "spin"]);
  checkInteger("batch", batch, 1, 2 ** 20);
  if (!(yieldMs > 0 && yieldMs <= 60_000)) throw usage(`yieldMs of ${yieldMs}: more than 0, and at most 60,000`);
  if (limit !== undefined && !Number.isInteger((limit as { left?: unknown } | null)?.left))
    throw usage(
      "`limit` is no object with a whole number `left`",
      "`const limit = { left: 1000 }`: it is counted down",
    );
}

/** A batch that an asynchronous handler leaves unfinished can't be told to the kernel. Throws XDPCTL_E_USAGE. */
export function checkHandler(handler: unknown): void {
  if (typeof handler !== "function") throw usage("the handler of frames is no function");
  if (handler.constructor.name === "AsyncFunction")
    throw usage("the handler of frames is asynchronous", "take() the frame, and go on with the packet later");
}
