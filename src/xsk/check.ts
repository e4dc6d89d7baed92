// SPDX-License-Identifier: MIT
import { BpfMap } from "../bpf/index.js";
import { XdpctlError } from "../errors/index.js";
import type { XskOptions } from "./options.js";
import type { ServeOptions } from "./serve.js";
import type { Umem } from "./umem.js";

const usage = (message: string, remedy?: string): XdpctlError =>
  new XdpctlError("XDPCTL_E_USAGE", message, remedy === undefined ? {} : { remedy });

function checkOneOf(what: string, value: unknown, allowed: readonly string[]): void {
  if (value === undefined || allowed.includes(value as string)) return;
  throw usage(`${String(value)} is no ${what}: ${allowed.join(", ")}`);
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

/** How many packets a caller asks for. Throws XDPCTL_E_USAGE. */
export function checkCount(n: number): void {
  if (n >>> 0 !== n) throw usage(`${n} packets: a whole number is needed, and not a negative one`);
}

/** What plain JavaScript may say, and the types forbid. Throws XDPCTL_E_USAGE. */
export function checkOptions(umem: Pick<Umem, "metadata">, options: XskOptions): void {
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
export function checkServe({ wait, batch = 1, yieldMs = 1 }: ServeOptions): void {
  checkOneOf("way to wait", wait, ["loop", "poll", "spin"]);
  checkInteger("batch", batch, 1, 2 ** 20);
  if (!(yieldMs > 0 && yieldMs <= 60_000)) throw usage(`yieldMs of ${yieldMs}: more than 0, and at most 60,000`);
}

/** A batch that an asynchronous handler leaves unfinished can't be told to the kernel. Throws XDPCTL_E_USAGE. */
export function checkHandler(handler: unknown): void {
  if (typeof handler !== "function") throw usage("the handler of frames is no function");
  if (handler.constructor.name === "AsyncFunction")
    throw usage("the handler of frames is asynchronous", "take() the frame, and go on with the packet later");
}
