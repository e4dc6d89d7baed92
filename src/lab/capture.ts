// SPDX-License-Identifier: MIT
import { type CaptureOptions, compileFilter, type Frame, PacketCapture } from "../capture/index.js";
import { XdpctlError } from "../errors/index.js";
import { interfaceIndex } from "../linux/index.js";
import type { Loop } from "../loop/index.js";
import type { Place } from "./place.js";

/**
 * Captures at a place of a lab, with a filter in tcpdump's language. Errors: XDPCTL_E_NO_INTERFACE, and those of
 * compileFilter and PacketCapture.
 */
export function captureAt(
  loop: Loop,
  place: Place,
  filter: string | undefined,
  handler: (frame: Frame) => void,
  options: Omit<CaptureOptions, "filter"> = {},
): PacketCapture {
  return place.inside(() => {
    const index = interfaceIndex(place.interface);
    if (index === undefined) {
      const where = place.machine ?? "the switch of the lab";
      throw new XdpctlError("XDPCTL_E_NO_INTERFACE", `${where} has no interface ${place.interface}`, {
        remedy: "`xdpctl lab inspect` lists the interfaces",
      });
    }
    const program = filter === undefined ? {} : { filter: compileFilter(filter, place.interface) };
    return new PacketCapture(loop, index, handler, { ...options, ...program });
  });
}
