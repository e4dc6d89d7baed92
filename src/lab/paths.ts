// SPDX-License-Identifier: MIT
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** Where everything about running labs is kept. */
export const RUN_DIR = "/run/xdpctl";
export const LABS_DIR = `${RUN_DIR}/labs`;
/** Where iproute2 looks for namespaces by name. */
export const NETNS_DIR = "/run/netns";
/** Says that we made NETNS_DIR, and may take it away when it is empty. */
export const NETNS_MARK = `${RUN_DIR}/made-netns-dir`;
/** The namespace in which a lab's bridges are. */
export const SWITCH = "switch";

export const labDir = (lab: string): string => join(LABS_DIR, lab);
export const statePath = (lab: string): string => join(labDir(lab), "state.json");
export const hostsPath = (lab: string): string => join(labDir(lab), "hosts");
/** A machine's directory, with the files `net`, `mnt` and `uts`. */
export const nodeDir = (lab: string, node: string): string => join(labDir(lab), "nodes", node);
/** The network namespace that has a lab's bridges: a file, which is there while a lab with bridges is up. */
export const switchNamespace = (lab: string): string => join(nodeDir(lab, SWITCH), "net");
/** Outside of the lab's directory, because machines don't see that one. */
export const binDir = (lab: string): string => join(RUN_DIR, "bin", lab);
export const netnsName = (lab: string, node: string): string => `${lab}-${node}`;
export const netnsLink = (lab: string, node: string): string => join(NETNS_DIR, netnsName(lab, node));

/** The directory of the package that this file belongs to. */
export function packageRoot(): string {
  for (let dir = dirname(fileURLToPath(import.meta.url)); ; dir = dirname(dir)) {
    const manifest = join(dir, "package.json");
    if (existsSync(manifest) && (JSON.parse(readFileSync(manifest, "utf8")) as { name?: string }).name === "xdpctl") {
      return dir;
    }
    if (dir === dirname(dir)) return dir;
  }
}
