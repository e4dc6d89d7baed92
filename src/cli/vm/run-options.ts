// SPDX-License-Identifier: MIT
import { totalmem } from "node:os";
import type { AcceleratorChoice, RootKind } from "../../vm/index.js";
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
  accel?: AcceleratorChoice;
  qemu?: string;
  timeout?: number;
  bootTimeout?: number;
  dryRun?: boolean;
  verbose?: boolean;
  quiet?: boolean;
  json?: boolean;
}

/** MiB */
const LEAST = 96;

/** Where no kernel is named. */
export const DEFAULT_KERNEL = "7.2";

export function several(value: string, before: string[] | undefined): string[] {
  return [...(before ?? []), value];
}

/** Names of variables. Throws XDPCTL_E_USAGE for what is none: an option, above all, that was taken for one. */
export function passed(name: string, before: string[] | undefined): string[] {
  if (!/^[^-=\s][^=\s]*$/.test(name)) {
    throw usage(
      `--pass-env takes the name of a variable, not ${JSON.stringify(name)}`,
      "for example --pass-env EDITOR",
    );
  }
  return several(name, before);
}

/** MiB of memory. */
export function size(text: string): number {
  const mib = parseBytes(text) / 2 ** 20;
  if (!Number.isInteger(mib)) throw usage(`${JSON.stringify(text)} is no size of memory`, "for example 512M or 2G");
  const most = Math.floor(totalmem() / 2 ** 20);
  if (mib < LEAST || mib > most)
    throw usage(
      `a guest can't have ${text} of memory here`,
      `from ${LEAST}M, below which no kernel boots, to ${most}M`,
    );
  return mib;
}

export function rootFs(text: string): RootKind {
  if (text !== "virtiofs" && text !== "9p" && text !== "initramfs")
    throw usage(`--root-fs is virtiofs, 9p or initramfs, not ${JSON.stringify(text)}`);
  return text;
}

const CHOICES: readonly AcceleratorChoice[] = ["auto", "kvm", "tcg", "kvm,tcg"];

export function accel(text: string): AcceleratorChoice {
  const choice = CHOICES.find((one) => one === text);
  if (choice === undefined) throw usage(`--accel is auto, kvm, tcg or kvm,tcg, not ${JSON.stringify(text)}`);
  return choice;
}
