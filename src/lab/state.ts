// SPDX-License-Identifier: MIT
import { existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { bootId, fileSystemType, namespaceInode, processStart } from "../linux/index.js";
import { LABS_DIR, nodeDir, statePath } from "./paths.js";
import type { Impairment } from "./impairment.js";
import type { EndSpec, LabSpec, NodeSpec } from "./spec.js";

const NSFS_MAGIC = 0x6e736673;

export type Phase = "deploying" | "ready" | "destroying" | "broken";

/** A process, and when it started: a number that is used again is not the same process. */
export interface ProcessMark {
  readonly pid: number;
  readonly start: string;
}

/** Inode numbers of a machine's namespaces, as text. */
export interface MachineMark {
  readonly net: string;
  readonly mnt?: string;
  readonly uts?: string;
  /** What was started in it. */
  readonly container?: ContainerMark;
  readonly vm?: GuestMark;
}

/** A guest that was started. */
export interface GuestMark {
  /** What it was made of: with another text it is made anew. */
  readonly key: string;
  /** The process with which it goes. */
  readonly supervisor: ProcessMark;
}

/** A container that was started, and what its image says of commands in it. */
export interface ContainerMark {
  readonly id: string;
  /** What it was made of: with another text it is made anew. */
  readonly key: string;
  /** Its first process. */
  readonly init: ProcessMark;
  readonly env: readonly string[];
  readonly workingDir: string;
  readonly user: string;
}

/** With what a lab's containers were made. */
export interface EngineMark {
  readonly engine: "podman" | "docker";
  readonly version: string;
  /** What this machine turned out to need, and the options that come of it. */
  readonly needs: readonly string[];
  readonly options: string;
}

export interface LinkMark {
  /** The link's place and settings, as text: what differs is another link. */
  readonly key: string;
  readonly ends: readonly [EndSpec, EndSpec];
  readonly index: readonly [number, number];
}

/** What is known of a lab that runs, as it is in state.json: also the mark that makes it ours to remove. */
export interface LabState {
  readonly version: 1;
  readonly id: string;
  readonly name: string;
  readonly created: string;
  /** The kernel's boot id: what an earlier boot left behind is only files. */
  readonly boot: string;
  phase: Phase;
  /** Who makes or removes it at the moment. */
  busy?: ProcessMark;
  /** The process with which the lab goes. */
  tied?: ProcessMark;
  spec: LabSpec;
  machines: Record<string, MachineMark>;
  bridges: Record<string, number>;
  links: LinkMark[];
  /** By end, `machine:interface` or `bridge:port`: what was asked of it, and whether that is switched off. */
  impaired?: Record<string, { settings: Impairment; off?: boolean }>;
  /** By machine: the DHCP servers that run here. */
  dhcp?: Record<string, { readonly key: string; readonly process: ProcessMark }>;
  containers?: EngineMark;
  /** Kinds of machines that may have started something: what `stop` has to look for. */
  started?: NodeSpec["kind"][];
  nextIndex: number;
}

export { bootId };

/** The mark of a process; undefined when there is none with this number. */
export function processMark(pid: number): ProcessMark | undefined {
  const start = processStart(pid);
  return start === undefined ? undefined : { pid, start };
}

export function isAlive(mark: ProcessMark | undefined): boolean {
  return mark !== undefined && processMark(mark.pid)?.start === mark.start;
}

/** Writes the state at once and whole. */
export function writeState(state: LabState): void {
  const path = statePath(state.name);
  writeFileSync(`${path}.new`, JSON.stringify(state));
  renameSync(`${path}.new`, path);
}

/** Names the one lab that there is for a process: what a guest asks for sees no other. */
export const ONLY_LAB = "XDPCTL_ONLY_LAB";

export function isShown(lab: string): boolean {
  const only = process.env[ONLY_LAB];
  return only === undefined || only === lab;
}

/**
 * The state of a lab; undefined when there is none, `null` when there is one that can't be read. `root` is where another
 * process has its `/`: what it sees need not be what we see.
 */
export function readState(lab: string, root = ""): LabState | undefined | null {
  // A name that can't be a lab's must not become a path.
  if (!/^[A-Za-z0-9_-]+$/.test(lab) || !isShown(lab)) return undefined;
  let text: string;
  try {
    text = readFileSync(`${root}${statePath(lab)}`, "utf8");
  } catch {
    return existsSync(`${root}${LABS_DIR}/${lab}`) ? null : undefined;
  }
  try {
    const state = JSON.parse(text) as LabState;
    return state.version === 1 && state.name === lab ? state : null;
  } catch {
    return null;
  }
}

/** The names of labs that have a directory, whatever state they are in. */
export function labNames(): string[] {
  try {
    return readdirSync(LABS_DIR).filter(isShown).sort();
  } catch {
    return [];
  }
}

/** Whether the namespaces of a machine are those that were recorded. */
export function machineLives(state: LabState, node: string): boolean {
  const mark = state.machines[node];
  if (mark === undefined || state.boot !== bootId()) return false;
  return (["net", "mnt", "uts"] as const).every((kind) => {
    const inode = mark[kind];
    if (inode === undefined) return true;
    const path = `${nodeDir(state.name, node)}/${kind}`;
    return fileSystemType(path) === NSFS_MAGIC && String(namespaceInode(path)) === inode;
  });
}
