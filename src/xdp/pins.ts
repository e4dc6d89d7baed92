// SPDX-License-Identifier: MIT
import { accessSync, constants, existsSync, mkdirSync, readdirSync, renameSync, rmdirSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { BpfMap, BpfProgram, ensureBpffs, findBpffs, XdpLink } from "../bpf/index.js";
import { namespaceInode } from "../linux/index.js";

/** What is pinned for one interface. */
export interface Pinned {
  ifindex: number;
  link: XdpLink;
  program: BpfProgram;
  maps: Record<string, BpfMap>;
}

/**
 * The pins of one network namespace: `xdpctl/<namespace inode>/<ifindex>/{link,prog,maps/}` in the BPF file system, and
 * nothing else.
 */
export class Pins {
  readonly inode: bigint;

  constructor(inode: bigint = namespaceInode()) {
    this.inode = inode;
  }

  #root(): string | undefined {
    const bpffs = findBpffs();
    return bpffs === undefined ? undefined : join(bpffs, "xdpctl", String(this.inode));
  }

  /** False for a process that may not look into the BPF file system: to it, everything seems to be someone else's. */
  get visible(): boolean {
    const bpffs = findBpffs();
    if (bpffs === undefined) return true;
    const closed = [bpffs, join(bpffs, "xdpctl")].find((directory) => !mayLookInto(directory));
    return closed === undefined;
  }

  /** Opens what is pinned for each interface; what no longer holds anything is removed. */
  open(): Pinned[] {
    if (!this.visible) return [];
    const root = this.#root();
    if (root === undefined || !existsSync(root)) return [];
    const found: Pinned[] = [];
    for (const entry of readdirSync(root)) {
      const ifindex = Number(entry);
      if (!Number.isInteger(ifindex)) continue;
      const pinned = this.#openOne(join(root, entry), ifindex);
      if (pinned === undefined) this.remove(ifindex);
      else found.push(pinned);
    }
    return found;
  }

  #openOne(directory: string, ifindex: number): Pinned | undefined {
    const link = XdpLink.fromPin(join(directory, "link"));
    if (link === undefined) return undefined;
    // After the interface is gone, or its number belongs to another one, the link holds nothing.
    if (link.info.ifindex !== ifindex) {
      link.close();
      return undefined;
    }
    const program = BpfProgram.fromId(link.info.programId);
    if (program === undefined) {
      link.close();
      return undefined;
    }
    const maps: Record<string, BpfMap> = {};
    const mapDirectory = join(directory, "maps");
    if (existsSync(mapDirectory)) {
      for (const name of readdirSync(mapDirectory))
        maps[name.replace(/^_/, ".")] = BpfMap.fromPin(join(mapDirectory, name));
    }
    return { ifindex, link, program, maps };
  }

  /** Pins a new attachment, or what replaced an old one. */
  write(ifindex: number, link: XdpLink, program: BpfProgram, maps: Record<string, BpfMap>): void {
    const directory = join(ensureBpffs(), "xdpctl", String(this.inode), String(ifindex));
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    // Names with a dot are the BPF file system's own.
    const fresh = join(directory, "maps_new");
    removeTree(fresh);
    mkdirSync(fresh);
    for (const [name, map] of Object.entries(maps)) map.pin(join(fresh, name.replace(/^\./, "_")));
    const newProgram = join(directory, "prog_new");
    unlinkQuietly(newProgram);
    program.pin(newProgram);
    renameSync(newProgram, join(directory, "prog"));
    removeTree(join(directory, "maps"));
    renameSync(fresh, join(directory, "maps"));
    if (!existsSync(join(directory, "link"))) link.pin(join(directory, "link"));
  }

  has(ifindex: number): boolean {
    const root = this.#root();
    return root !== undefined && existsSync(join(root, String(ifindex), "link"));
  }

  /** Removes the pins of an interface, and the directories that are then empty. */
  remove(ifindex: number): void {
    const root = this.#root();
    if (root === undefined) return;
    removeTree(join(root, String(ifindex)));
    for (const directory of [root, join(root, "..")]) {
      try {
        rmdirSync(directory);
      } catch {
        // Another attachment lives there.
        return;
      }
    }
  }
}

function mayLookInto(directory: string): boolean {
  try {
    accessSync(directory, constants.R_OK | constants.X_OK);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT";
  }
}

function unlinkQuietly(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}

/** bpffs has no recursive removal of its own that Node's rm would not stumble over: links first, then the directory. */
function removeTree(directory: string): void {
  if (!existsSync(directory)) return;
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) removeTree(path);
    else unlinkQuietly(path);
  }
  rmdirSync(directory);
}
