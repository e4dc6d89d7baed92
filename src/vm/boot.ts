// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import { type Accelerator, rememberBrokenKvm, TCG_INSTEAD } from "./accel.js";
import type { GuestHello } from "./agent.js";
import type { Guest } from "./guest.js";

export interface BootOptions {
  /** How often it is started, at most. */
  readonly attempts: number;
  /** Starts the guest; called again for each further attempt. With `accelerator` where the one that was chosen failed. */
  readonly start: (accelerator?: Accelerator) => Promise<Guest>;
  /** Resolves when the boot is no longer wanted. */
  readonly stopped: Promise<unknown>;
  /** Told of each boot that failed, and is tried again. */
  readonly onRetry: (error: XdpctlError, attempt: number) => void;
}

/**
 * Starts a guest and waits for it; undefined when it was stopped. An emulated processor now and then runs code that another
 * one is just patching, and the kernel, which patches itself at boot, gives up: then it is started again. And a KVM that
 * looked usable may not be: then it is started under TCG. Throws what `Guest.ready` throws.
 */
export async function boot({
  attempts,
  start,
  stopped,
  onRetry,
}: BootOptions): Promise<{ guest: Guest; hello: GuestHello } | undefined> {
  let accelerator: Accelerator | undefined;
  for (let attempt = 1; ; attempt++) {
    const guest = await start(accelerator);
    try {
      const hello = await Promise.race([guest.ready(), stopped.then(() => undefined)]);
      if (hello !== undefined) {
        if (accelerator !== undefined) rememberBrokenKvm();
        return { guest, hello };
      }
      await guest[Symbol.asyncDispose]();
      return undefined;
    } catch (error) {
      await guest[Symbol.asyncDispose]();
      if (guest.accelerator.unproven === true && notStarted(error)) {
        accelerator = TCG_INSTEAD;
        onRetry(error, attempt--);
        continue;
      }
      if (attempt >= attempts || !XdpctlError.is(error) || !guest.tornBoot(error)) throw error;
      onRetry(error, attempt);
    }
  }
}

function notStarted(error: unknown): error is XdpctlError {
  return (
    XdpctlError.is(error, "XDPCTL_E_VM_HANG") ||
    XdpctlError.is(error, "XDPCTL_E_VM_DIED") ||
    XdpctlError.is(error, "XDPCTL_E_VM_PANIC")
  );
}
