// SPDX-License-Identifier: MIT
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { Modules } from "./module-files.js";
import type { Kernel } from "./record.js";
import { LARGEST } from "./vmlinux.js";

/** An option of a kernel, and what it is called as a module. */
export interface Feature {
  readonly module: string;
  readonly option: string;
}

/**
 * Whether a kernel has a feature, built in or as a module that can be loaded; undefined where nothing says so: it has no
 * list of modules, no configuration beside it, and none inside (CONFIG_IKCONFIG).
 */
export function kernelHas(kernel: Kernel, { module, option }: Feature): boolean | undefined {
  const { modules } = kernel;
  if (modules !== undefined) {
    if (new Modules(modules).has(module)) return true;
    if (existsSync(join(modules, "modules.builtin"))) return false;
  }
  const config = configOf(kernel);
  // What is a module there, and not in the list, can't be loaded.
  return config === undefined ? undefined : config.split("\n").includes(`${option}=y`);
}

function configOf(kernel: Kernel): string | undefined {
  if (kernel.config !== undefined && existsSync(kernel.config)) return readFileSync(kernel.config, "utf8");
  return configInside(readFileSync(kernel.image));
}

/** The configuration that a kernel carries, compressed, between two marks (kernel/configs.c). */
export function configInside(image: Buffer): string | undefined {
  const start = image.indexOf("IKCFG_ST\x1f\x8b", 0, "latin1");
  const end = start < 0 ? -1 : image.indexOf("IKCFG_ED", start, "latin1");
  if (end < 0) return undefined;
  try {
    return gunzipSync(image.subarray(start + "IKCFG_ST".length, end), { maxOutputLength: LARGEST }).toString("utf8");
  } catch {
    return undefined;
  }
}
