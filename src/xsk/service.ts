// SPDX-License-Identifier: MIT
import { wakeSend } from "../linux/index.js";
import type { Engine } from "./engine.js";
import type { Where } from "./failure.js";
import type { FrameHandler, Turn } from "./turn.js";

/** A socket that is being served. */
export interface Service {
  readonly engine: Engine;
  readonly handler: FrameHandler;
  readonly turn: Turn;
  readonly where: Where;
  readonly signal: AbortSignal;
  readonly batch: number;
  readonly yieldMs: number;
  readonly spin: boolean;
}

/** While frames are on their way back to a pool that ran dry, nothing else would wake us. */
export const REAP_MS = 1;

/** The interface may be down, or gone. */
export function look(engine: Engine): void {
  engine.fail(-wakeSend(engine.fd));
}
