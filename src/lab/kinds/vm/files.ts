// SPDX-License-Identifier: MIT
import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ErrorObject } from "../../../errors/index.js";
import { nodeDir } from "../../paths.js";
import type { NodeSpec, VmSpec } from "../../spec.js";

/** The longest of them has 100 bytes with the longest names of lab and machine: a socket's may have 107. */
export interface GuestFiles {
  readonly dir: string;
  /** What the supervisor is told. */
  readonly plan: string;
  /** What the supervisor tells. */
  readonly record: string;
  /** Its messages. */
  readonly log: string;
  readonly console: string;
  /** What the guest's kernel itself logged. */
  readonly dmesg: string;
  /** Where clients of the guest's agent connect. */
  readonly agent: string;
  /** For people and programs; names as in munet. */
  readonly sockets: {
    readonly console: string;
    readonly console1: string;
    readonly monitor: string;
    readonly qmp: string;
  };
  readonly gdb: string;
  /** Where the guest asks for `lab` commands. */
  readonly errands: string;
}

export const guestFiles = (lab: string, node: string): GuestFiles => guestFilesIn(nodeDir(lab, node));

/** The files of a guest whose directory is `dir`. */
export function guestFilesIn(dir: string): GuestFiles {
  const at = (name: string): string => join(dir, name);
  return {
    dir,
    plan: at("guest.json"),
    record: at("vm.json"),
    log: at("supervisor.log"),
    console: at("console.log"),
    dmesg: at("dmesg.log"),
    agent: at("agent"),
    sockets: { console: at("s/console"), console1: at("s/console1"), monitor: at("s/monitor"), qmp: at("s/qmp") },
    gdb: at("s/gdbserver"),
    errands: at("s/lab"),
  };
}

/** A NIC of a guest, and the bridge that it is a port of. */
export interface GuestNic {
  readonly name: string;
  readonly mac: string;
  readonly bridge: string;
  /** Index of the link's end on the host, the other port of that bridge. */
  readonly end: number;
}

/** All that a supervisor needs. */
export interface GuestPlan {
  readonly lab: string;
  readonly node: NodeSpec;
  readonly vm: VmSpec;
  readonly nics: readonly GuestNic[];
  /** Files that are written in the guest, by their paths there. */
  readonly files: Readonly<Record<string, { readonly text: string; readonly mode: string }>>;
  /** The lab's own hosts file, which changes with the lab. */
  readonly hosts: string;
  /** Mounts of the host that the guest neither sees nor keeps alive. */
  readonly unmounted: readonly string[];
}

/** How a guest is. */
export interface GuestRecord {
  readonly phase: "starting" | "booting" | "ready" | "failed" | "ended";
  /** What it waits for, in words. */
  readonly doing?: string;
  /** `uname -r`. */
  readonly kernel?: string;
  /** The file that was booted. */
  readonly image?: string;
  /** `tcg: KVM is …`. */
  readonly accelerator?: string;
  /** Files of modules that it shall have, and which were not built. */
  readonly missing?: readonly string[];
  /** QEMU's process. */
  readonly qemu?: number;
  /** What there is to say of a guest of which nothing is heard. */
  readonly hang?: string | undefined;
  /** Why it failed or ended. */
  readonly error?: ErrorObject;
}

export function readRecord(path: string): GuestRecord | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as GuestRecord;
  } catch {
    return undefined;
  }
}

/** Removes the sockets of an earlier boot: each virtiofsd makes its own. */
export function removeSockets(dir: string): void {
  for (const name of readdirSync(dir)) if (name.endsWith(".sock")) rmSync(join(dir, name), { force: true });
}

/** Writes a file at once and whole. */
export function writeJson(path: string, value: unknown): void {
  writeFileSync(`${path}.new`, JSON.stringify(value));
  renameSync(`${path}.new`, path);
}
