// SPDX-License-Identifier: MIT
import type { EchoHost } from "../../packet/index.js";
import type { Frame, FrameHandler } from "../../xsk/index.js";

/** What the workers of an interface's queues are given. */
export interface QueueWork {
  readonly kind: "drop" | "reflect" | "echo";
  /** Of `echo`: those that it answers for. */
  readonly addresses: readonly string[];
  /** Answers of each queue, as doubles: written by its worker alone. */
  readonly answered: SharedArrayBuffer;
  /** Packets that may still come, of all queues together; without end where there is none. */
  readonly left?: SharedArrayBuffer;
}

/** Swaps the MAC addresses and sends the frame back. */
export function reflect(frame: Frame): void {
  if (frame.swapMacs()) frame.send();
}

/** Answers as a host does; `count` is called for each answer. */
export function answeredBy(host: EchoHost, count: () => void): FrameHandler {
  return (frame) => {
    if (!host.answer(frame)) return;
    count();
    frame.send();
  };
}
