// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";
import { type Feature, kernelHas } from "./features.js";
import type { Kernel } from "./record.js";

/** How a guest gets the files of its root. */
export type RootKind = "virtiofs" | "9p" | "initramfs";

const FEATURES: Readonly<Record<RootKind, readonly Feature[]>> = {
  virtiofs: [{ module: "virtiofs", option: "CONFIG_VIRTIO_FS" }],
  "9p": [
    { module: "9pnet_virtio", option: "CONFIG_NET_9P_VIRTIO" },
    { module: "9p", option: "CONFIG_9P_FS" },
  ],
  // Unpacked by the kernel before anything else runs.
  initramfs: [],
};

/** The modules that it takes, of a kernel that has it not built in. */
export const rootModules = (kind: RootKind): string[] => FEATURES[kind].map(({ module }) => module);

/** A kernel of which nothing is known is taken to have it. */
const can = (kernel: Kernel, kind: RootKind): boolean =>
  FEATURES[kind].every((feature) => kernelHas(kernel, feature) !== false);

/**
 * Chooses how a guest gets its root: by virtiofs where the kernel has it. Else this machine's files come over 9p, which is
 * slower, and an image (`image`) in the initramfs.
 * Errors: XDPCTL_E_BAD_KERNEL for a kernel that has neither, or not the one that is `wanted`.
 */
export function rootKind(kernel: Kernel, wanted?: RootKind, image = false): RootKind {
  if (wanted === "initramfs" && !image) {
    throw new XdpctlError("XDPCTL_E_USAGE", "this machine's files don't fit into an initramfs", {
      remedy: "name an image: --root DIR",
    });
  }
  const choices = ["virtiofs", image ? "initramfs" : "9p"] as const;
  const found = (wanted === undefined ? choices : [wanted]).find((kind) => can(kernel, kind));
  if (found !== undefined) return found;
  const lacks = wanted === undefined ? "neither virtiofs nor 9p" : `no ${wanted}`;
  throw new XdpctlError("XDPCTL_E_BAD_KERNEL", `Linux ${kernel.version} has ${lacks}: it can't have these files`, {
    lines: [`looked in ${kernel.modules ?? kernel.config ?? kernel.image}`],
    remedy:
      "build it with CONFIG_VIRTIO_FS=y, or with CONFIG_9P_FS=y and CONFIG_NET_9P_VIRTIO=y; or give it an image (--root)",
  });
}
