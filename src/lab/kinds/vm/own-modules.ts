// SPDX-License-Identifier: MIT
import { existsSync } from "node:fs";
import { join } from "node:path";
import { packageRoot } from "../../paths.js";
import type { VmSpec } from "../../spec.js";

/** `kmod:NAME` in a lab file: a module of this project's folder kmod/. */
const OWN = "kmod:";

export const isOwnModule = (name: string): boolean => name.startsWith(OWN);

export interface OwnModules {
  /** Files that scripts/build-kmod made for this kernel. */
  readonly built: readonly string[];
  /** Files that it did not make. */
  readonly missing: readonly string[];
}

/** Where the modules of this project are that a guest with the kernel `version` (`uname -r`) shall have. */
export function ownModules({ modules }: VmSpec, version: string): OwnModules {
  const files = modules
    .filter(isOwnModule)
    .map((name) => join(packageRoot(), "build", "kmod", version, `${name.slice(OWN.length)}.ko`));
  return { built: files.filter((file) => existsSync(file)), missing: files.filter((file) => !existsSync(file)) };
}

/** What to say of those that are not built. */
export function missingNotes(vm: VmSpec, version: string): string[] {
  const { missing } = ownModules(vm, version);
  const clone = existsSync(join(packageRoot(), "scripts/build-kmod"));
  return missing.map((file) => {
    const name = file.slice(file.lastIndexOf("/") + 1, -".ko".length);
    const build = `\`scripts/build-kmod --kernel ${vm.kernel} ${name}\` ${clone ? "" : "of a clone of xdpctl "}builds it`;
    return `the module ${name}, which is not built for ${version}; ${build}${clone ? ", and the next deploy loads it" : ""}`;
  });
}
