// SPDX-License-Identifier: MIT
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { didYouMean, XdpctlError } from "../errors/index.js";

/** Module names are the same with `-` and `_`. */
function plain(name: string): string {
  return name.replaceAll("-", "_");
}

function nameOf(path: string): string {
  return plain((path.split("/").pop() ?? "").replace(/\.ko(\.\w+)?$/, ""));
}

/** The modules of a kernel, as depmod(8) listed them. */
export class Modules {
  readonly #folder: string;
  readonly #paths = new Map<string, string>();
  readonly #needs = new Map<string, string[]>();
  readonly #builtin = new Set<string>();

  /** `folder` is …/lib/modules/VERSION. */
  constructor(folder: string) {
    this.#folder = folder;
    const dep = join(folder, "modules.dep");
    if (!existsSync(dep)) {
      throw new XdpctlError("XDPCTL_E_NO_KERNEL", `${folder} has no modules.dep`, { remedy: "run depmod there" });
    }
    for (const line of readFileSync(dep, "utf8").split("\n")) {
      const colon = line.indexOf(":");
      if (colon < 0) continue;
      const path = line.slice(0, colon);
      this.#paths.set(nameOf(path), path);
      this.#needs.set(
        nameOf(path),
        line
          .slice(colon + 1)
          .split(" ")
          .filter(Boolean)
          .map(nameOf),
      );
    }
    const builtin = join(folder, "modules.builtin");
    if (existsSync(builtin)) {
      for (const path of readFileSync(builtin, "utf8").split("\n")) if (path !== "") this.#builtin.add(nameOf(path));
    }
  }

  has(name: string): boolean {
    return this.#builtin.has(plain(name)) || this.#paths.has(plain(name));
  }

  /**
   * The files of these modules and of all that they need, each after what it needs. What is built in needs no file.
   * Throws XDPCTL_E_NO_MODULE for a name that the kernel has not.
   */
  files(names: readonly string[]): string[] {
    const found: string[] = [];
    const seen = new Set<string>();
    const add = (name: string): void => {
      if (seen.has(name) || this.#builtin.has(name)) return;
      seen.add(name);
      const path = this.#paths.get(name);
      if (path === undefined) {
        const hint = didYouMean(name, [...this.#paths.keys()]);
        throw new XdpctlError("XDPCTL_E_NO_MODULE", `the kernel of ${this.#folder} has no module ${name}${hint}`);
      }
      // modules.dep lists what is needed last first.
      for (const need of [...(this.#needs.get(name) ?? [])].reverse()) add(need);
      found.push(join(this.#folder, path));
    };
    for (const name of names) add(plain(name));
    return found;
  }
}
