// SPDX-License-Identifier: MIT
import type { ErrorObject } from "../../errors/index.js";
import type { CopyMode } from "../bind.js";
import type { XskStatistics } from "../counters.js";
import type { ServeOptions } from "../serve.js";
import type { XskSocket } from "../socket.js";
import type { XskOptions } from "../options.js";
import type { FrameHandler } from "../turn.js";
import type { UmemOptions } from "../umem-options.js";

/** What a worker is started with. */
export interface QueueStart {
  readonly interface: string;
  readonly queue: number;
  readonly cpu: number;
  /** URL of the module with the handler. */
  readonly module: string;
  readonly data: unknown;
  readonly umem: UmemOptions;
  readonly socket: Omit<XskOptions, "redirect" | "filter" | "mode" | "queue" | "onTimestamp">;
  readonly serve: Omit<ServeOptions, "signal" | "loop" | "limit">;
}

/** `open`: the socket is there, by this descriptor; `ended`: nothing is left of it. */
export type FromQueue =
  | { readonly kind: "open"; readonly fd: number; readonly copy: CopyMode }
  | { readonly kind: "statistics"; readonly statistics: XskStatistics }
  | { readonly kind: "ended"; readonly error: ErrorObject | undefined; readonly statistics: XskStatistics | undefined };

export type ToQueue = "statistics" | "stop";

/** What a module that handles frames may know before the first. */
export interface QueueContext {
  readonly socket: XskSocket;
  /** What `serveAll` was given, as the structured clone algorithm copies it. */
  readonly data: unknown;
}

/** What such a module exports. */
export interface QueueModule {
  /** The handler, called for each received frame of the queue. */
  readonly default: FrameHandler;
  /** Is called, and awaited, once in each worker before the first frame. */
  readonly start?: (context: QueueContext) => void | Promise<void>;
}
