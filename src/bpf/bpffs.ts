// SPDX-License-Identifier: MIT
import { existsSync, mkdirSync, readlinkSync } from "node:fs";
import { XdpctlError } from "../errors/index.js";
import { BPF_FS_MAGIC, fileSystemType, inNamespaces, mount, ownNamespacePath } from "../linux/index.js";

const USUAL = "/sys/fs/bpf";
const MAIN = "/proc/1/root/sys/fs/bpf";

function isBpffs(path: string): boolean {
  return fileSystemType(path) === BPF_FS_MAGIC;
}

/**
 * Where pins go. In a mount namespace of its own with no BPF file system (`ip netns exec` makes one for each command), a
 * mount would vanish with the command and take what is pinned with it: then it is the main mount namespace's.
 */
export function findBpffs(): string | undefined {
  return [USUAL, MAIN].find(isBpffs);
}

/** Like findBpffs, and mounts one where there is none. Throws XDPCTL_E_BPFFS. */
export function ensureBpffs(): string {
  const found = findBpffs();
  if (found !== undefined) return found;
  let away = false;
  try {
    away = readlinkSync("/proc/1/ns/mnt") !== readlinkSync(ownNamespacePath("mnt"));
  } catch {
    // Without the right to look at process 1 this is the only mount namespace we can reach.
  }
  try {
    const make = (): void => {
      if (!existsSync(USUAL)) mkdirSync(USUAL, { recursive: true });
      mount("bpf", USUAL, "bpf", 0, "mode=0700");
    };
    if (away) inNamespaces({ mnt: "/proc/1/ns/mnt" }, make);
    else make();
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new XdpctlError("XDPCTL_E_BPFFS", `there is no BPF file system to pin in, and none can be mounted: ${why}`, {
      cause,
    });
  }
  return away ? MAIN : USUAL;
}
