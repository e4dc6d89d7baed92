// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import { deviceFeatures } from "../netlink/index.js";
import type { CopyRequest } from "./bind.js";
import type { TxMetadata } from "./metadata.js";

/** enum netdev_xsk_flags: what a driver does with TX metadata in zero copy. */
const TX_TIMESTAMP = 1;
const TX_CHECKSUM = 2;
const TX_LAUNCH_TIME = 4;

/**
 * How an interface is to be bound so that packets get what they ask for: in copy mode the kernel sees to it, in zero copy the
 * driver must, and says nothing where it doesn't. Throws XDPCTL_E_NOT_SUPPORTED.
 */
export function copyFor(
  metadata: TxMetadata,
  link: { readonly name: string; readonly index: number },
  copy: CopyRequest,
): CopyRequest {
  if (copy === "copy" && !metadata.launchTime) return copy;
  const features = deviceFeatures(link.index).xsk;
  if (metadata.launchTime && (features & TX_LAUNCH_TIME) === 0)
    throw new XdpctlError("XDPCTL_E_NOT_SUPPORTED", `the driver of ${link.name} has no launch time`, {
      remedy: "it takes Linux 6.15 and such a device: leave `launchTime` out",
    });
  const both = TX_TIMESTAMP | TX_CHECKSUM;
  if (!metadata.softwareChecksum && (features & both) === both) return copy;
  if (copy !== "zerocopy") return "copy";
  const what = metadata.softwareChecksum
    ? "checksums by the kernel are made in copy mode alone"
    : `in zero copy the driver of ${link.name} has no checksums and timestamps`;
  throw new XdpctlError("XDPCTL_E_NOT_SUPPORTED", what, { remedy: "take copy mode" });
}
