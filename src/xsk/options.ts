// SPDX-License-Identifier: MIT
import type { BpfMap } from "../bpf/index.js";
import type { ModeRequest } from "../xdp/index.js";
import type { BusyPoll, CopyRequest, Place } from "./bind.js";
import { Redirect, redirectRules } from "./redirect.js";
import type { RingSizes } from "./ring.js";
import type { RedirectRule } from "./rule.js";
import type { TimestampHandler } from "./timestamps.js";
import type { Umem } from "./umem.js";

export interface XskOptions {
  /** The queue whose frames it receives, and by which it sends; 0 by default. */
  queue?: number;
  /** How the redirect program is attached: `native`, `generic`, or `auto` (the default), native where the driver can. */
  mode?: ModeRequest;
  /** `zerocopy`, `copy`, or `auto` (the default), which takes zero copy where the driver has it. */
  copy?: CopyRequest;
  /** Calls the kernel only when it sleeps; true by default (Linux 5.4). */
  needWakeup?: boolean;
  /** Descriptors of each ring, powers of two; 2048 by default, the fill ring at most half of the UMEM's frames. */
  rings?: Partial<RingSizes>;
  /** Which frames it takes; all by default. What matches no rule goes on to the network stack. */
  filter?: RedirectRule | readonly RedirectRule[];
  /**
   * The XSKMAP of a program of your own, which you attach; the socket is put into it at its queue. `false`: nothing is
   * redirected, the socket only sends. By default xdpctl's own program is attached, and shared by the queues.
   */
  redirect?: BpfMap | false;
  /** Preferred busy polling (Linux 5.11): the driver is driven by our own waiting, not by interrupts. */
  busyPoll?: BusyPoll;
  /**
   * Packets of several frames (XDP_USE_SG, Linux 6.6), for MTUs beyond a frame. `serve` shows each in one piece; `receive` drops
   * them, as `invalid`. `sent` and `completed` count their frames.
   */
  multiBuffer?: boolean;
  /** Packets that one wake-up sends in copy mode (Linux 6.17; 32 before); 256 by default, where the kernel has it. */
  sendBudget?: number;
  /**
   * Is called for each packet that asked for its timestamp (`txMetadata` of the UMEM), some time after it was sent: by `produce`,
   * `receive` or `send` of this socket, or `serve` of any on its UMEM. It must not be asynchronous; the object is one for all.
   */
  onTimestamp?: TimestampHandler;
}

const DEFAULT_RING = 2048;
/** See `sendBudget`. */
export const SEND_BUDGET = 256;

/** @internal The program that gives frames to the socket: ours, the map of another, or none. */
export function redirection(
  place: Pick<Place, "interface" | "ifindex" | "multiBuffer">,
  options: XskOptions,
): Redirect | BpfMap | undefined {
  const { redirect, filter, mode } = options;
  if (redirect === false) return undefined;
  if (redirect !== undefined) return redirect;
  return Redirect.retain(place.interface, place.ifindex, {
    ...(mode === undefined ? {} : { mode }),
    rules: redirectRules(filter),
    multiBuffer: place.multiBuffer,
  });
}

/** @internal What the caller names, and the usual for the rest; a fill ring never takes more than half of the frames unasked. */
export function ringSizes(umem: Umem, given: Partial<RingSizes>): RingSizes {
  const half = 2 ** Math.floor(Math.log2(Math.max(2, umem.frameCount) / 2));
  return {
    rx: given.rx ?? DEFAULT_RING,
    tx: given.tx ?? DEFAULT_RING,
    fill: given.fill ?? Math.min(DEFAULT_RING, half),
    completion: given.completion ?? DEFAULT_RING,
  };
}
