// SPDX-License-Identifier: MIT
import { usage } from "../command.js";

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

export function size(text: string): number {
  const match = /^(\d+)([MG]?)$/i.exec(text);
  const mib = match === null ? 0 : Number(match[1]) * (match[2]?.toUpperCase() === "G" ? 1024 : 1);
  if (mib < 64 || mib > 1 << 20) throw usage(`${JSON.stringify(text)} is no size of memory`, "for example 512M or 2G");
  return mib;
}

export function seconds(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text);
  const factor = { ms: 0.001, s: 1, m: 60, h: 3600 }[match?.[2] ?? "s"] ?? 1;
  const value = Number(match?.[1] ?? 0) * factor;
  if (value <= 0 || value > 86_400 * 20) throw usage(`${JSON.stringify(text)} is no time`, "for example 30s or 5m");
  return value;
}

export function count(text: string): number {
  if (!/^\d{1,3}$/.test(text) || Number(text) === 0 || Number(text) > 255)
    throw usage(`${JSON.stringify(text)} is no number of CPUs`);
  return Number(text);
}

export function accel(text: string): "auto" | "kvm" | "tcg" {
  if (text !== "auto" && text !== "kvm" && text !== "tcg")
    throw usage(`--accel is auto, kvm or tcg, not ${JSON.stringify(text)}`);
  return text;
}
