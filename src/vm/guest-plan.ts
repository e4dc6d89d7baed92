// SPDX-License-Identifier: MIT
import { dirname, join, resolve } from "node:path";
import type { XdpctlError } from "../errors/index.js";
import { type Accelerator, accelerator } from "./accel.js";
import { imageParts } from "./image.js";
import { initrdFile } from "./initrd-file.js";
import { initramfs, moduleFiles } from "./initramfs.js";
import { FIRST_FREE_FD, machineCommand } from "./machine.js";
import { type GuestNetwork, Networks } from "./network.js";
import {
  board,
  type Device,
  disk,
  findQemu,
  gdbServer,
  kernelImage,
  monitors,
  plan9Folder,
  port,
  secondConsole,
  serialConsole,
  sharedFolder,
  statusServer,
  watchdog,
} from "./qemu.js";
import type { Kernel } from "./record.js";
import { Modules } from "./module-files.js";
import { checkModule } from "./module-fit.js";
import { type RootKind, rootKind } from "./root-kind.js";
import type { PlannedShare } from "./share.js";

/** Unix sockets of a machine that QEMU serves; none may have more than 107 bytes. */
export interface GuestSockets {
  readonly console: string;
  /** A second terminal, /dev/hvc0. */
  readonly console1: string;
  readonly monitor: string;
  readonly qmp: string;
}

export interface GuestOptions {
  readonly kernel: Kernel;
  /** How it gets its root; what the kernel has by default. */
  readonly rootKind?: RootKind;
  /** A folder with a root of its own, absolute; by default it has this machine's files. */
  readonly root?: string;
  readonly overlays?: readonly string[];
  /** Folders that are really written to. */
  readonly writable?: readonly string[];
  readonly clearDirs?: readonly string[];
  readonly clearFiles?: readonly string[];
  readonly networks?: readonly GuestNetwork[];
  readonly disks?: readonly string[];
  /** MiB; 1024 by default. */
  readonly memory?: number;
  /** Where the command will run. */
  readonly cwd?: string;
  /** Folders that it sees also where they are in one that is empty in guests, such as /run. */
  readonly visible?: readonly string[];
  /** 2 by default. */
  readonly cpus?: number;
  readonly kernelWords?: readonly string[];
  /** Modules of the kernel that are loaded at once, by name. */
  readonly modules?: readonly string[];
  /** The same, but those that the kernel has not are left out. */
  readonly likelyModules?: readonly string[];
  /** Module files that are loaded when the root is there. */
  readonly moduleFiles?: readonly string[];
  /** The guest's own name; the host's by default. */
  readonly hostName?: string;
  /** Where its files are, for whoever looks; else a directory of its own, which goes with it. */
  readonly dir?: string;
  /** Mounts of the host that neither it sees nor it keeps alive. */
  readonly unmounted?: readonly string[];
  readonly sockets?: GuestSockets;
  /** Further virtio-serial ports: unix sockets by name. */
  readonly ports?: Readonly<Record<string, string>>;
  /** A unix socket for gdb, in the guest's directory. */
  readonly gdb?: string;
  readonly watchdog?: boolean;
  readonly accelerator?: Accelerator;
  readonly qemu?: string;
  /** Milliseconds without a sign of life until a boot is given up; 30,000 by default. */
  readonly silenceMs?: number;
  /** Told when the guest hangs, and with undefined when it is back: else a guest that hangs is ended. */
  readonly onHang?: (error: XdpctlError | undefined) => void;
  /** Records of the guest's kernel log. */
  readonly onKmsg?: (record: string) => void;
}

/** Modules by name that this guest needs beside what every guest has. */
function wanted(options: GuestOptions): string[] {
  return [
    ...((options.disks?.length ?? 0) > 0 ? ["virtio_blk"] : []),
    ...(options.watchdog === true ? ["i6300esb"] : []),
    ...(options.modules ?? []),
    ...likely(options),
  ];
}

function likely({ kernel, likelyModules = [] }: GuestOptions): string[] {
  if (kernel.modules === undefined || likelyModules.length === 0) return [];
  const modules = new Modules(kernel.modules);
  return likelyModules.filter((name) => modules.has(name));
}

/** Where those and what they need lie in the initramfs, in the order in which they are loaded. */
export function guestModules(options: GuestOptions): string[] {
  return moduleFiles(options.kernel, wanted(options)).map(({ inside }) => inside);
}

export interface Plan {
  readonly root: RootKind;
  /** How it gets the folders of this machine, where it has any. */
  readonly shared: RootKind | undefined;
  readonly devices: Device[];
  /** What virtiofsd serves; with 9p it is QEMU. */
  readonly shares: readonly (PlannedShare & { readonly socket: string })[];
  /** What QEMU may write to: undefined where it serves no files, and need not be kept from any. */
  readonly qemuWrites: readonly string[] | undefined;
  readonly accelerator: Accelerator;
  readonly networks: Networks;
}

export function plan(options: GuestOptions, dir: string): Plan {
  const accel = options.accelerator ?? accelerator();
  const cpus = options.cpus ?? 2;
  for (const file of options.moduleFiles ?? []) checkModule(file, options.kernel.version);
  const networks = new Networks(options.networks ?? [], cpus, FIRST_FREE_FD, dir === NOWHERE);
  const { kernel } = options;
  const root = rootKind(kernel, options.rootKind, options.root !== undefined);
  const image = options.root === undefined ? undefined : imageParts(options.root, kernel, root);
  const folders: PlannedShare[] = [
    ...(image?.shares ?? [{ tag: "root", path: "/", writable: false }]),
    ...(options.writable ?? []).map((path, i) => ({ tag: `rw${i}`, path, writable: true })),
  ];
  // Also a guest that has its root in memory may have folders of this machine.
  const shared = root !== "initramfs" ? root : folders.length > 0 ? rootKind(kernel) : undefined;
  const by9p = shared === "9p";
  const shares = by9p ? [] : folders.map((one) => ({ ...one, socket: join(dir, `${one.tag}.sock`) }));
  const firstFiles = initramfs(kernel, {
    network: (options.networks?.length ?? 0) > 0,
    kinds: [root, ...(shared === undefined ? [] : [shared])],
    modules: wanted(options),
    trees: image?.trees ?? [],
  });
  const devices: Device[] = [
    board({ accelerator: accel, cpus, memory: options.memory ?? 1024 }),
    kernelImage(kernel.image, initrdFile(firstFiles, dir === NOWHERE ? undefined : dir)),
    serialConsole(join(dir, "console.log"), options.sockets?.console),
    ...(options.sockets === undefined
      ? []
      : [secondConsole(options.sockets.console1), monitors(options.sockets.monitor, options.sockets.qmp)]),
    ...shares.map(({ tag, socket }) => sharedFolder(tag, socket)),
    ...(by9p ? folders.map(({ tag, path, writable }) => plan9Folder(tag, path, writable)) : []),
    ...networks.devices,
    ...(options.disks ?? []).map(disk),
    ...Object.entries(options.ports ?? {}).map(([name, socket]) => port(name, socket)),
    ...(mayBeHeld(options) ? [statusServer(join(dir, WATCH_SOCKET))] : []),
    ...(options.gdb === undefined ? [] : [gdbServer(resolve(dir, options.gdb))]),
    ...(options.watchdog === true ? [watchdog()] : []),
  ];
  const qemuWrites = by9p ? writtenByQemu(options, dir) : undefined;
  return { root, shared, devices, shares, qemuWrites, accelerator: accel, networks };
}

/** Its own directory and those of its sockets, disks, and the folders that are really written to. */
function writtenByQemu(options: GuestOptions, dir: string): string[] {
  const sockets = [...Object.values(options.sockets ?? {}), ...(options.gdb === undefined ? [] : [options.gdb])];
  const folders = [dir, ...sockets.map((path) => dirname(resolve(dir, path))), ...(options.writable ?? [])];
  return [...new Set([...folders, ...(options.disks ?? [])])];
}

/** Whether there is a way to make it stand still. */
export function mayBeHeld({ gdb, sockets }: GuestOptions): boolean {
  return gdb !== undefined || sockets !== undefined;
}

/** Where QEMU is asked whether somebody holds the machine; not for others, because QMP has one client at a time. */
export const WATCH_SOCKET = "watch.sock";

/** Stands for the directory of a guest that is not started. */
const NOWHERE = "RUN";

/** What the kernel says while it boots shows how far it came, and costs a tenth of a second. */
export const BOOT_WORDS = ["loglevel=7"];

/** The command line of QEMU for a guest, without starting anything. */
export function guestCommand(options: GuestOptions): string[] {
  const { devices } = plan(options, NOWHERE);
  const kernelWords = [...BOOT_WORDS, ...(options.kernelWords ?? [])];
  return machineCommand({ qemu: findQemu(options.qemu), devices, kernelWords });
}
