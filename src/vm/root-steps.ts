// SPDX-License-Identifier: MIT
import { existsSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_REC } from "../linux/index.js";
import type { RootKind } from "./root-kind.js";
import { bind, MS_RDONLY, MS_REMOUNT, mount, type Step, withFolder } from "./steps.js";

const KERNEL_FS = MS_NOSUID | MS_NODEV | MS_NOEXEC;
/** Where the root is put together, in the initramfs. */
const ROOT = "/root";
const LOWER = "/lower";
const LAYER = "/layer";
/** Where guests have the agent, for what it does as a command. */
export const AGENT_IN_GUEST = "/run/xdpctl/agent";

export interface RootOptions {
  /** Tag of the share that is the root. */
  readonly tag: string;
  readonly type: RootKind;
  /** How folders of this machine come, where the root does not. */
  readonly shared?: RootKind | undefined;
  /** Whether it is an image, with xdpctl and the kernel's modules beside it, instead of this machine's files. */
  readonly image: boolean;
  /**
   * Whether a layer in memory lies over the root. Not where an ordinary user's virtiofsd serves it: the layer opens files
   * with O_NOATIME, which only their owner may.
   */
  readonly layered: boolean;
  /** A folder that must be seen, also where it is below a folder that is made anew. */
  readonly cwd: string;
  /** More of those. */
  readonly visible: readonly string[];
  /** Folders that the guest may write to, and whose changes are thrown away. `/`: all of them. */
  readonly overlays: readonly string[];
  /** Folders that are really written to, each with the tag of its share. */
  readonly writable: readonly { readonly path: string; readonly tag: string }[];
  readonly clearDirs: readonly Cleared[];
  readonly clearFiles: readonly Cleared[];
  /** The kernel's modules on the host, and its version. */
  readonly modules: string | undefined;
  readonly version: string;
  readonly hostName: string;
  /** The file that is to name QEMU's own name server, where the guest has QEMU's network. */
  readonly resolv?: string;
}

/** A file or folder that becomes empty, and stays its owner's. */
interface Cleared {
  readonly path: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** What becomes empty, with what it is on the host. */
export function clearedFile(path: string): Cleared {
  const { mode, uid, gid } = statSync(path);
  return { path, mode: mode & 0o7777, uid, gid };
}

/** What is really written goes to the host at once. */
function filesystem(tag: string, target: string, type: RootKind, flags = 0): Step {
  const cache = (flags & MS_RDONLY) === 0 ? "mmap" : "loose";
  return mount(tag, target, type, flags, type === "9p" ? `${PLAN9},cache=${cache}` : "");
}

/** Messages as large as QEMU takes them. */
const PLAN9 = "trans=virtio,version=9p2000.L,msize=512000,access=client";

/** What a program expects to find mounted. */
const KERNEL_MOUNTS: readonly (readonly [string, string, number, string])[] = [
  ["proc", "proc", KERNEL_FS, ""],
  ["sys", "sysfs", KERNEL_FS, ""],
  ["dev", "devtmpfs", MS_NOSUID, "mode=0755"],
  ["dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "gid=5,mode=620,ptmxmode=666"],
  ["dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777"],
  ["run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755"],
  ["sys/fs/bpf", "bpf", KERNEL_FS, "mode=700"],
  ["sys/fs/cgroup", "cgroup2", KERNEL_FS, ""],
  ["sys/kernel/debug", "debugfs", KERNEL_FS, ""],
  ["sys/kernel/tracing", "tracefs", KERNEL_FS, ""],
];

/**
 * The steps from the initramfs to the guest's root: the host's files below, a layer in memory above that takes what is
 * needed to mount things, and nothing writable but what was asked for.
 */
export function rootSteps(options: RootOptions): Step[] {
  const inRoot = (path: string): string => join(ROOT, path);
  const packed = options.type === "initramfs";
  // Of folders that are in both, the first one's owner and rights count: those of the image.
  const lower = packed ? "/image:/project" : options.image ? `${LOWER}:/project` : LOWER;
  const steps: Step[] = [
    ["mkdir", LOWER],
    ...(packed ? [] : [filesystem(options.tag, LOWER, options.type, MS_RDONLY)]),
    ...(options.image && !packed
      ? [["mkdir", "/project"], filesystem("project", "/project", options.type, MS_RDONLY)]
      : []),
    ["mkdir", LAYER],
    mount("layer", LAYER, "tmpfs", 0, "mode=0755,size=80%"),
    ...["upper", "work", "empty"].map((name): Step => ["mkdir", join(LAYER, name)]),
    options.layered
      ? mount("overlay", ROOT, "overlay", 0, `lowerdir=${lower},upperdir=${LAYER}/upper,workdir=${LAYER}/work`)
      : bind(LOWER, ROOT, MS_REC),
  ];
  for (const [path, type, flags, data] of KERNEL_MOUNTS) {
    // Under /dev the folders are the guest's own; an image may lack others.
    if (path.startsWith("dev/") || (options.image && !path.includes("/"))) steps.push(["mkdir", inRoot(path)]);
    steps.push(mount(type, inRoot(path), type, flags, data));
  }
  for (const [name, target] of DEV_LINKS) steps.push(["symlink", target, inRoot(`dev/${name}`)]);
  steps.push(["mkdir", inRoot("run/lock")], ["mkdir", inRoot("run/xdpctl")], ["copy", "/init", inRoot(AGENT_IN_GUEST)]);
  if (options.modules !== undefined && options.image) {
    const target = inRoot(`/usr/lib/modules/${options.version}`);
    if (!packed) steps.push(["mkdir", target], filesystem("modules", target, options.type, MS_RDONLY));
  } else if (options.modules !== undefined) {
    const target = inRoot(`/usr/lib/modules/${options.version}`);
    if (!options.layered) {
      // There must be a folder to mount them at.
      if (!existsSync("/usr/lib/modules"))
        steps.push(...withFolder("/usr/lib", "modules", join(LOWER, "usr/lib"), inRoot("/usr/lib")));
      steps.push(mount("modules", inRoot("/usr/lib/modules"), "tmpfs", 0, "mode=755"));
    }
    steps.push(["mkdir", target], bind(join(LOWER, options.modules), target));
  }
  for (const path of TEMPORARY) {
    if (options.image) steps.push(["mkdir", inRoot(path)]);
    if (options.layered) steps.push(bind(inRoot(path), inRoot(path), MS_REC));
    else steps.push(mount("tmpfs", inRoot(path), "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777"));
  }
  if (options.resolv !== undefined) {
    const text = inRoot("run/xdpctl/resolv.conf");
    steps.push(["write", text, NAME_SERVER]);
    // What is missing, as below /run, is made; elsewhere there is a file, or a layer to make it in.
    if (options.layered || hidden(options.resolv, options.layered) !== undefined)
      steps.push(["mkdir", inRoot(dirname(options.resolv))], ["touch", inRoot(options.resolv)]);
    steps.push(bind(text, inRoot(options.resolv)));
  }
  const named = [
    // An image has it, or it is really written to.
    ...(options.image ? [] : [options.cwd]),
    ...options.visible,
    ...options.overlays,
    ...options.clearDirs.map(({ path }) => path),
    ...options.clearFiles.map(({ path }) => dirname(path)),
    ...options.writable.map(({ path }) => path),
  ];
  const shown = new Set<string>();
  for (const path of named) {
    if (options.image || hidden(path, options.layered) === undefined || shown.has(path)) continue;
    shown.add(path);
    steps.push(["mkdir", inRoot(path)], bind(join(LOWER, path), inRoot(path)));
  }
  for (const [i, { path, mode, uid, gid }] of options.clearFiles.entries()) {
    const empty = join(LAYER, "empty", String(i));
    steps.push(["write", empty, ""], ["chmod", mode.toString(8), empty], ["chown", String(uid), String(gid), empty]);
    steps.push(bind(empty, inRoot(path)));
  }
  for (const { path, mode, uid, gid } of options.clearDirs)
    steps.push(mount("empty", inRoot(path), "tmpfs", 0, `mode=${mode.toString(8)},uid=${uid},gid=${gid}`));
  // A mount of its own keeps its own flags when the root becomes read-only.
  for (const path of options.overlays) if (path !== "/") steps.push(bind(inRoot(path), inRoot(path), MS_REC));
  for (const { path, tag } of options.writable) {
    // It may lie in a folder that was just emptied, or in an image.
    if (options.image || options.clearDirs.some((cleared) => path.startsWith(`${cleared.path}/`)))
      steps.push(["mkdir", inRoot(path)]);
    steps.push(filesystem(tag, inRoot(path), options.shared ?? options.type));
  }
  if (options.layered && !options.overlays.includes("/")) steps.push(bind("none", ROOT, MS_REMOUNT | MS_RDONLY));
  steps.push(["root", ROOT], ["hostname", options.hostName], ["up", "lo"]);
  return steps;
}

/** QEMU's own. */
const NAME_SERVER = "nameserver 10.0.2.3\n";

/** Folders that every program may write to; what the host has in them is seen where there is a layer. */
const TEMPORARY = ["/tmp", "/var/tmp"];

/** The folder, empty in a guest, below which `path` lies. */
function hidden(path: string, layered: boolean): string | undefined {
  const empty = ["/run", "/dev/shm", ...(layered ? [] : TEMPORARY)];
  return empty.find((folder) => path.startsWith(`${folder}/`));
}

const DEV_LINKS = [
  ["fd", "/proc/self/fd"],
  ["stdin", "/proc/self/fd/0"],
  ["stdout", "/proc/self/fd/1"],
  ["stderr", "/proc/self/fd/2"],
  ["ptmx", "pts/ptmx"],
] as const;
