// SPDX-License-Identifier: MIT
import { createHash, type Hash } from "node:crypto";
import { readFileSync, type Stats, statSync } from "node:fs";
import { basename } from "node:path";
import { agentPath } from "./agent-path.js";
import { type CpioEntry, cpio, S_IFCHR, S_IFDIR, S_IFREG, treeEntries, walk } from "./cpio.js";
import { Modules } from "./module-files.js";
import type { Kernel } from "./record.js";
import { type RootKind, rootModules } from "./root-kind.js";

/** What every guest needs before it has a root, beside the root itself: its port, and the layer that takes writes. */
const NEEDED = ["virtio_pci", "virtio_console", "overlay"];
/** What it may need later, and then at once: loading these with modprobe takes longer. */
const NETWORK = ["virtio_net"];

export interface InitramfsOptions {
  readonly network: boolean;
  /** How the guest gets its root, and folders of this machine. */
  readonly kinds: readonly RootKind[];
  /** Further modules of the kernel, by name. */
  readonly modules?: readonly string[];
  /** Folders of this machine that are packed with it, each below its own in the initramfs. */
  readonly trees?: readonly PackedTree[];
}

export interface PackedTree {
  readonly from: string;
  /** Without a leading `/`. */
  readonly to: string;
  /** Which of its files are wanted; all by default. */
  readonly wanted?: (path: string) => boolean;
}

/** An initramfs in pieces, so that one that exists need not be made again. */
export interface Initramfs {
  /** The same for the same contents. */
  readonly key: string;
  /** Whether a whole root is in it. */
  readonly large: boolean;
  build(): Iterable<Uint8Array>;
}

/**
 * The first file system of a guest: the agent as /init, and the modules that it loads, in order. The key knows files by
 * their size and time of change, so that looking takes no reading.
 */
export function initramfs(kernel: Kernel, options: InitramfsOptions): Initramfs {
  const first = moduleFiles(kernel, [
    ...NEEDED,
    ...options.kinds.flatMap(rootModules),
    ...(options.network ? NETWORK : []),
  ]);
  const later = moduleFiles(kernel, options.modules ?? []).filter(
    ({ file }) => !first.some((one) => one.file === file),
  );
  const { trees = [] } = options;
  const agent = agentPath();
  const hash = createHash("sha256");
  for (const file of [agent, ...[...first, { file: "later" }, ...later].map((one) => one.file)]) {
    const stat = statSync(file, { throwIfNoEntry: false });
    hash.update(`${file} ${stat?.size} ${stat?.mtimeMs}\n`);
  }
  for (const tree of trees) identify(hash, tree);
  return {
    key: hash.digest("hex").slice(0, 16),
    large: trees.length > 0,
    build: () => cpio([...entries(agent, first, later), ...trees.flatMap(packed)]),
  };
}

/** An image's files may all have the same time: it is the change of the inode that tells. */
function identify(hash: Hash, { from, to, wanted }: PackedTree): void {
  const one = (path: string, { size, mode, ino, ctimeMs }: Stats): string =>
    `${path} ${size} ${mode} ${ino} ${ctimeMs}\n`;
  hash.update(`${to} ${from}\n`);
  for (const { path, stat } of walk(from)) if (wanted?.(path) !== false) hash.update(one(path, stat));
}

function packed({ from, to, wanted }: PackedTree): CpioEntry[] {
  const folders = to.split("/").map((_, i, names) => names.slice(0, i).join("/"));
  const above = folders.filter(Boolean).map((path) => ({ path, mode: S_IFDIR | 0o755 }));
  const all = [...treeEntries(from, to)];
  return [...above, ...all.filter(({ path }) => path === to || wanted?.(path.slice(to.length + 1)) !== false)];
}

interface ModuleFile {
  readonly file: string;
  /** Its path in the initramfs. */
  readonly inside: string;
}

/** The files of modules and of all that they need, each after what it needs. Errors: XDPCTL_E_NO_MODULE. */
export function moduleFiles(kernel: Kernel, names: readonly string[]): ModuleFile[] {
  if (kernel.modules === undefined) return [];
  return new Modules(kernel.modules).files(names).map((file) => ({ file, inside: `/modules.d/${basename(file)}` }));
}

/** `first` is loaded by the agent itself when it starts, `later` when it is told to. */
function entries(agent: string, first: readonly ModuleFile[], later: readonly ModuleFile[]): CpioEntry[] {
  const list = first.map(({ inside }) => `${inside}\n`).join("");
  return [
    ...["dev", "proc", "sys", "root", "modules.d"].map((path) => ({ path, mode: S_IFDIR | 0o755 })),
    // The kernel opens it for the agent's own standard streams before anything is mounted.
    { path: "dev/console", mode: S_IFCHR | 0o600, device: [5, 1] as const },
    { path: "init", mode: S_IFREG | 0o755, data: readFileSync(agent) },
    { path: "modules", mode: S_IFREG | 0o644, data: Buffer.from(list) },
    ...[...first, ...later].map(({ file, inside }) => ({
      path: inside.slice(1),
      mode: S_IFREG | 0o644,
      data: readFileSync(file),
    })),
  ];
}
