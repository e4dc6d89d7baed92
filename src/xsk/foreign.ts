// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import type { Engine } from "./engine.js";
import type { Turn } from "./turn.js";

/**
 * Of a socket that was handed over, whoever registered the memory may have said another size, and may have put frames of his
 * own into the fill ring. Throws XDPCTL_E_HANDOVER where one of the next `n` received frames is not within the memory.
 */
export function checkReceived({ rx, umem }: Engine, n: number): void {
  const count = Math.min(n, rx.available());
  for (let i = 0; i < count; i++) {
    const slot = ((rx.consumer + i) & rx.mask) << 2;
    const high = rx.slots[slot + 1] as number;
    // Unaligned, the upper 16 bits are an offset.
    const start = (rx.slots[slot] as number) + (umem.unaligned ? high >>> 16 : high * 2 ** 32);
    if (start + (rx.slots[slot + 2] as number) > umem.length)
      throw new XdpctlError(
        "XDPCTL_E_HANDOVER",
        `a frame lies at ${start}, beyond the ${umem.length} bytes that were handed over`,
      );
  }
}

/** A turn that looks first. */
export function suspicious(engine: Engine, turn: Turn): Turn {
  return (handler, budget) => {
    checkReceived(engine, budget);
    return turn(handler, budget);
  };
}
