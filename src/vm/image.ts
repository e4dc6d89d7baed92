// SPDX-License-Identifier: MIT
import { statSync } from "node:fs";
import { join } from "node:path";
import { packageRoot } from "./agent-path.js";
import type { PackedTree } from "./initramfs.js";
import { projectFolder } from "./project.js";
import type { Kernel } from "./record.js";
import type { RootKind } from "./root-kind.js";
import type { PlannedShare } from "./share.js";

/** Where a guest finds what its root is made of: tags of shares, and folders of the initramfs. */
export const IMAGE = "root";
export const PROJECT = "project";
export const MODULES = "modules";

/** What a guest with a root of its own gets: the image, xdpctl with its Node.js, and the kernel's modules. */
export function imageParts(
  image: string,
  kernel: Kernel,
  kind: RootKind,
): { readonly shares: PlannedShare[]; readonly trees: PackedTree[] } {
  const project = projectFolder();
  const share = (tag: string, path: string): PlannedShare => ({ tag, path, writable: false });
  const { modules, version } = kernel;
  if (kind !== "initramfs") {
    const more = modules === undefined ? [] : [share(MODULES, modules)];
    return { shares: [share(IMAGE, image), share(PROJECT, project), ...more], trees: [] };
  }
  const trees: PackedTree[] = [
    { from: image, to: "image" },
    { from: project, to: PROJECT },
  ];
  if (modules !== undefined) {
    trees.push({ from: modules, to: `${PROJECT}/usr/lib/modules/${version}`, wanted: isForNetworks });
  }
  return { shares: [], trees };
}

const NETWORKS = [
  ...["net/(802|8021q|bridge|core|ipv4|ipv6|key|llc|mptcp|netfilter|netlink|packet|sched|unix|xdp|xfrm)(/|$)"],
  ...["drivers/net/(bonding|dummy|geneve|ifb|ipvlan|macvlan|netkit|tun|tap|veth|virtio_net|vrf|vxlan)(/|\\.ko|$)"],
  ...["crypto(/|$)", "arch/[^/]+(/crypto(/|$)|$)", "lib(/|$)"],
  ...["net$", "drivers$", "drivers/net$", "arch$"],
];
const FOR_NETWORKS = new RegExp(`^(modules\\.[^/]+|kernel|kernel/(${NETWORKS.join("|")}).*)$`);

/** All modules of a kernel of Debian's are as large as everything else: packed are those of networks, with their ciphers. */
function isForNetworks(path: string): boolean {
  return FOR_NETWORKS.test(path);
}

/** The directory in which a command begins: this one where the guest has it. */
export function imageCwd(image: string, writable: readonly string[], cwd: string): string {
  const there = [packageRoot(), ...writable].some((path) => cwd === path || cwd.startsWith(`${path}/`));
  const inside = statSync(join(image, cwd), { throwIfNoEntry: false });
  return there || inside?.isDirectory() === true ? cwd : "/";
}
