// SPDX-License-Identifier: MIT
import { existsSync, readdirSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import type { Work } from "./cache.js";
import { runTool } from "./tool.js";

const UNPACK: Readonly<Record<string, readonly string[]>> = {
  ".xz": ["xz", "-dq", "--"],
  ".zst": ["zstd", "-dq", "--rm", "--"],
  ".gz": ["gzip", "-dq", "--"],
};

/** True when nothing has to be done to a folder of modules: they are uncompressed, and `depmod` was run. */
export function modulesReady(folder: string): boolean {
  return existsSync(join(folder, "modules.dep.bin")) && compressed(folder).length === 0;
}

function compressed(folder: string): string[] {
  const paths = readdirSync(folder, { recursive: true, withFileTypes: true });
  return paths
    .filter((one) => one.isFile() && /\.ko\.(xz|zst|gz)$/.test(one.name))
    .map((one) => join(one.parentPath, one.name));
}

/**
 * Makes `root`/lib/modules/`version` cheap to load from: modules without compression, and the index that modprobe reads.
 * An emulated machine takes longer to uncompress a module than to run it.
 */
export async function prepareModules(root: string, version: string, work: Work): Promise<void> {
  const folder = join(root, "lib", "modules", version);
  const files = compressed(folder);
  const jobs: string[][] = [];
  for (const [ending, command] of Object.entries(UNPACK)) {
    const some = files.filter((file) => file.endsWith(ending));
    const share = Math.min(Math.ceil(some.length / cpus().length), 500);
    for (let at = 0; at < some.length; at += share) jobs.push([...command, ...some.slice(at, at + share)]);
  }
  const workers = cpus().map(async () => {
    for (let job = jobs.pop(); job !== undefined; job = jobs.pop()) await runTool(job, work);
  });
  await Promise.all(workers);
  await runTool(["depmod", "-b", root, version], work);
}
