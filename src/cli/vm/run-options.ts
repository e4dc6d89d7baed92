// SPDX-License-Identifier: MIT
import type { RootKind } from "../../vm/index.js";
import { usage } from "../command.js";
import { parseBytes } from "../quantities.js";

export interface RunOptions {
  kernel?: string;
  kernels?: string;
  overlay?: string[];
  rw?: string[];
  clearDir?: string[];
  clearFile?: string[];
  passEnv?: string[];
  net?: string[];
  disk?: string[];
  mem?: number;
  cpus?: number;
  kopt?: string[];
  module?: string[];
  gdb?: boolean;
  watchdog?: boolean;
  console?: boolean;
  root?: string;
  rootFs?: RootKind;
  accel?: "auto" | "kvm" | "tcg";
  qemu?: string;
  timeout?: number;
  bootTimeout?: number;
  dryRun?: boolean;
  verbose?: boolean;
  json?: boolean;
}

/** Where no kernel is named. */
export const DEFAULT_KERNEL = "7.2";

export function several(value: string, before: string[] | undefined): string[] {
  return [...(before ?? []), value];
}

/** MiB of memory. */
export function size(text: string): number {
  const mib = parseBytes(text) / 2 ** 20;
  if (!Number.isInteger(mib) || mib < 64 || mib > 1 << 20)
    throw usage(`${JSON.stringify(text)} is no size of memory`, "for example 512M or 2G");
  return mib;
}

export function rootFs(text: string): RootKind {
  if (text !== "virtiofs" && text !== "9p" && text !== "initramfs")
    throw usage(`--root-fs is virtiofs, 9p or initramfs, not ${JSON.stringify(text)}`);
  return text;
}

export function accel(text: string): "auto" | "kvm" | "tcg" {
  if (text !== "auto" && text !== "kvm" && text !== "tcg")
    throw usage(`--accel is auto, kvm or tcg, not ${JSON.stringify(text)}`);
  return text;
}
