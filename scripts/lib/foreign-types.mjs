// SPDX-License-Identifier: MIT
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";

/** Declarations of packages that are bundled, not installed: they are copied beside ours, which then name the copies. */
const FOREIGN = { "netlink/dist/structs.js": "node_modules/netlink/dist/structs.d.ts" };

export function bundleForeignTypes(folder) {
  const files = readdirSync(folder, { recursive: true }).filter((path) => path.endsWith(".d.ts"));
  for (const [specifier, source] of Object.entries(FOREIGN)) {
    const copy = join(folder, "foreign", specifier.split("/")[0], basename(source));
    const users = files.filter((path) => readFileSync(join(folder, path), "utf8").includes(`"${specifier}"`));
    if (users.length === 0) continue;
    mkdirSync(dirname(copy), { recursive: true });
    copyFileSync(source, copy);
    for (const path of users) {
      const file = join(folder, path);
      const target = relative(dirname(file), copy.replace(/\.d\.ts$/, ".js"));
      writeFileSync(file, readFileSync(file, "utf8").replaceAll(`"${specifier}"`, `"${target}"`));
    }
  }
}
