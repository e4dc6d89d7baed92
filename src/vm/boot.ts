// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import type { GuestHello } from "./agent.js";
import type { Guest } from "./guest.js";

export interface BootOptions {
  /** How often it is started, at most. */
  readonly attempts: number;
  /** Starts the guest; called again for each further attempt. */
  readonly start: () => Promise<Guest>;
  /** Resolves when the boot is no longer wanted. */
  readonly stopped: Promise<unknown>;
  /** Told of each boot that failed, and is tried again. */
  readonly onRetry: (error: XdpctlError, attempt: number) => void;
}

/**
 * Starts a guest and waits for it; undefined when it was stopped. An emulated processor now and then runs code that another
 * one is just patching, and the kernel, which patches itself at boot, gives up: then it is started again. Throws what
 * `Guest.ready` throws.
 */
export async function boot({
  attempts,
  start,
  stopped,
  onRetry,
}: BootOptions): Promise<{ guest: Guest; hello: GuestHello } | undefined> {
  for (let attempt = 1; ; attempt++) {
    const guest = await start();
    try {
      const hello = await Promise.race([guest.ready(), stopped.then(() => undefined)]);
      if (hello !== undefined) return { guest, hello };
      await guest[Symbol.asyncDispose]();
      return undefined;
    } catch (error) {
      await guest[Symbol.asyncDispose]();
      if (attempt >= attempts || !XdpctlError.is(error) || !guest.tornBoot(error)) throw error;
      onRetry(error, attempt);
    }
  }
}
