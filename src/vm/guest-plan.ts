// SPDX-License-Identifier: MIT
import { existsSync, mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Accelerator, accelerator } from "./accel.js";
import { cacheDir } from "./cache.js";
import { initramfs } from "./initramfs.js";
import { machineCommand } from "./machine.js";
import {
  board,
  type Device,
  disk,
  findQemu,
  gdbServer,
  kernelImage,
  monitors,
  serialConsole,
  sharedFolder,
  tapNetwork,
  userNetwork,
  watchdog,
} from "./qemu.js";
import type { Kernel } from "./record.js";

/** A NIC, `eth0`, `eth1` … in this order: at QEMU's own network, with a lease, or at a tap, and then as it comes. */
export type GuestNetwork =
  | { readonly kind: "user" }
  | { readonly kind: "tap"; readonly tap: string; readonly mac: string };

/** Unix sockets of a machine that QEMU serves; none may have more than 107 bytes. */
export interface GuestSockets {
  readonly console: string;
  readonly monitor: string;
  readonly qmp: string;
}

export interface GuestOptions {
  readonly kernel: Kernel;
  readonly overlays?: readonly string[];
  /** Folders that are really written to. */
  readonly writable?: readonly string[];
  readonly clearDirs?: readonly string[];
  readonly clearFiles?: readonly string[];
  readonly networks?: readonly GuestNetwork[];
  readonly disks?: readonly string[];
  /** MiB; 1024 by default. */
  readonly memory?: number;
  /** 2 by default. */
  readonly cpus?: number;
  readonly kernelWords?: readonly string[];
  /** Modules of the kernel that are loaded at once, by name. */
  readonly modules?: readonly string[];
  /** Module files that are loaded when the root is there. */
  readonly moduleFiles?: readonly string[];
  /** The guest's own name; the host's by default. */
  readonly hostName?: string;
  /** Where its files are, for whoever looks; else a directory of its own, which goes with it. */
  readonly dir?: string;
  /** Mounts of the host that neither it sees nor it keeps alive. */
  readonly unmounted?: readonly string[];
  readonly sockets?: GuestSockets;
  /** Path of a unix socket for gdb. */
  readonly gdb?: string;
  readonly watchdog?: boolean;
  readonly accelerator?: Accelerator;
  readonly qemu?: string;
  /** Milliseconds without a sign of life until a boot is given up; 30,000 by default. */
  readonly silenceMs?: number;
  /** Records of the guest's kernel log. */
  readonly onKmsg?: (record: string) => void;
}

/** The first file system of guests, made once for each kernel and agent. */
function initrdFile(kernel: Kernel, options: GuestOptions): string {
  const { key, build } = initramfs(kernel, {
    network: (options.networks?.length ?? 0) > 0,
    modules: options.modules ?? [],
  });
  const folder = join(cacheDir(), "initramfs");
  const path = join(folder, `${key}.cpio`);
  if (!existsSync(path)) {
    mkdirSync(folder, { recursive: true });
    const fresh = `${path}.${process.pid}`;
    writeFileSync(fresh, build());
    renameSync(fresh, path);
  }
  return path;
}

/** A MAC address for the nth NIC: locally administered, the same in each guest. */
function macOf(index: number): string {
  return `02:78:64:70:00:${(index + 1).toString(16).padStart(2, "0")}`;
}

export interface Plan {
  readonly devices: Device[];
  readonly shares: { tag: string; path: string; writable: boolean; socket: string }[];
  readonly accelerator: Accelerator;
}

export function plan(options: GuestOptions, dir: string): Plan {
  const accel = options.accelerator ?? accelerator();
  const shares = [{ tag: "root", path: "/", writable: false, socket: join(dir, "root.sock") }];
  for (const [i, path] of (options.writable ?? []).entries())
    shares.push({ tag: `rw${i}`, path, writable: true, socket: join(dir, `rw${i}.sock`) });
  const cpus = options.cpus ?? 2;
  const network = (one: GuestNetwork, i: number): Device =>
    one.kind === "user" ? userNetwork(`net${i}`, macOf(i)) : tapNetwork({ id: `net${i}`, ...one, cpus });
  const devices: Device[] = [
    board({ accelerator: accel, cpus, memory: options.memory ?? 1024 }),
    kernelImage(options.kernel.image, initrdFile(options.kernel, options)),
    serialConsole(join(dir, "console.log"), options.sockets?.console),
    ...(options.sockets === undefined ? [] : [monitors(options.sockets.monitor, options.sockets.qmp)]),
    ...shares.map(({ tag, socket }) => sharedFolder(tag, socket)),
    ...(options.networks ?? []).map(network),
    ...(options.disks ?? []).map(disk),
    ...(options.gdb === undefined ? [] : [gdbServer(options.gdb)]),
    ...(options.watchdog === true ? [watchdog()] : []),
  ];
  return { devices, shares, accelerator: accel };
}

export const QUIET = ["quiet"];

/** The command line of QEMU for a guest, without starting anything. */
export function guestCommand(options: GuestOptions): string[] {
  const { devices } = plan(options, "RUN");
  const kernelWords = [...QUIET, ...(options.kernelWords ?? [])];
  return machineCommand({ qemu: findQemu(options.qemu), devices, kernelWords });
}
