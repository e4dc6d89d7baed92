// SPDX-License-Identifier: MIT
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { Suite } from "./apt.js";
import type { AptPackage } from "./apt-text.js";
import type { Work } from "./cache.js";
import { compareVersions } from "./spec.js";
import { runTool } from "./tool.js";
import { isElf } from "./vmlinux.js";

/** The newest version of the C library that an ELF file asks for, such as `2.38`. */
export function glibcNeeded(bytes: Buffer): string | undefined {
  const asked = [...bytes.toString("latin1").matchAll(/\0GLIBC_(\d+\.\d+)/g)].map((found) => found[1] ?? "");
  return asked.sort(compareVersions).at(-1);
}

function glibcHere(): string {
  const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } };
  return header.glibcVersionRuntime ?? "0";
}

/**
 * A newer Debian's kernel brings build tools that need that Debian's C library. Each of them becomes a script that runs it
 * with the libraries of `suite`, which are put beside it. `folder` will be known as `target`.
 */
export async function wrapTools(
  folder: string,
  target: string,
  suite: string,
  packages: readonly AptPackage[],
  work: Work,
): Promise<void> {
  const here = glibcHere();
  const root = join(folder, "usr", "lib");
  const tools = readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((one) => one.isFile())
    .map((one) => join(one.parentPath, one.name))
    .filter((file) => {
      const bytes = readFileSync(file);
      return isElf(bytes) && compareVersions(glibcNeeded(bytes) ?? "0", here) > 0;
    });
  if (tools.length === 0) return;
  work.log?.(`the build tools need a newer C library than ${here}: fetching that of ${suite}`);
  await fetchLibraries(join(folder, "libs"), suite, packages, work);
  for (const file of tools) {
    const binary = `${target}${file.slice(folder.length)}.bin`;
    renameSync(file, `${file}.bin`);
    const libs = join(target, "libs");
    writeFileSync(file, `#!/bin/sh\nexec '${libs}/ld-linux-x86-64.so.2' --library-path '${libs}' '${binary}' "$@"\n`);
    chmodSync(file, 0o755);
  }
}

/** Puts the shared libraries that `packages` depend on, and those that these need, into the folder `into`. */
async function fetchLibraries(into: string, suite: string, packages: readonly AptPackage[], work: Work): Promise<void> {
  const from = new Suite(suite, work);
  await from.update();
  const isLibrary = (name: string): boolean => /^(lib|zlib1g)/.test(name);
  const wanted = new Map<string, AptPackage>();
  for (let names = packages.flatMap((one) => one.depends); names.length > 0; ) {
    const next = [...new Set(names.filter((name) => isLibrary(name) && !wanted.has(name)))];
    const found = next.length === 0 ? [] : await from.show(next);
    // Newest first, and the rest of them are older.
    for (const one of found) if (!wanted.has(one.name)) wanted.set(one.name, one);
    names = found.flatMap((one) => one.depends);
  }
  const store = `${into}.debs`;
  const unpacked = `${into}.x`;
  const files = await from.download([...wanted.values()], store);
  for (const file of files) await runTool(["dpkg-deb", "-x", file, unpacked], work);
  mkdirSync(into);
  const places = ["lib", "usr/lib"].map((dir) => join(unpacked, dir, "x86_64-linux-gnu"));
  for (const place of places.filter((one) => existsSync(one))) {
    for (const name of readdirSync(place).filter((one) => /\.so(\.|$)/.test(one))) {
      cpSync(join(place, name), join(into, name), { verbatimSymlinks: true });
    }
  }
  for (const leftover of [store, unpacked]) rmSync(leftover, { recursive: true });
}
