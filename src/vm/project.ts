// SPDX-License-Identifier: MIT
import { createHash } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
} from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { packageRoot } from "./agent-path.js";
import { cacheDir, cacheError } from "./cache.js";
import { walk } from "./cpio.js";

/** What of the package runs, and what is run with it. */
const PARTS = ["bin", "dist", "build/bpf", "build/agent", "build/kmod", "labs", "examples", "package.json"];
/** What is not bundled in dist/. */
const PACKAGES = ["koffi", `@koromix/koffi-linux-${process.arch}`];
/** A guest may run for long with a folder that nobody else uses any more. */
const KEPT_DAYS = 30;

interface Part {
  readonly from: string;
  /** Where guests have it. */
  readonly to: string;
}

function parts(root: string): Part[] {
  const own = PARTS.map((name) => join(root, name)).map((path) => ({ from: path, to: path }));
  const places = createRequire(join(root, "package.json")).resolve.paths("koffi") ?? [];
  const packages = PACKAGES.flatMap((name) => {
    const from = places.map((place) => join(place, name)).find((path) => existsSync(path));
    return from === undefined ? [] : [{ from, to: join(root, "node_modules", name) }];
  });
  return [...own, ...packages].filter(({ from }) => existsSync(from));
}

/** Where a Node.js that is whole in one file is; another has to be in the guest's own files. */
function nodeFile(): string | undefined {
  const { node_shared } = process.config.variables as { node_shared?: boolean | string };
  return node_shared === true || node_shared === "true" ? undefined : process.execPath;
}

function keyOf(all: readonly Part[], node: string | undefined): string {
  const hash = createHash("sha256");
  const add = (path: string, { size, mtimeMs, ino }: { size: number; mtimeMs: number; ino: number }): void => {
    hash.update(`${path} ${size} ${mtimeMs} ${ino}\n`);
  };
  for (const { from, to } of all) {
    const stat = statSync(from);
    add(to, stat);
    if (stat.isDirectory()) for (const file of walk(from)) add(file.path, file.stat);
  }
  if (node !== undefined) add(node, statSync(node));
  return hash.digest("hex").slice(0, 16);
}

/**
 * A folder with xdpctl, as it is now, and the Node.js that runs it, each at the path that it has here: what a guest with
 * files of its own has from this machine. Made anew when one of them changed, in a fraction of a second.
 */
export function projectFolder(): string {
  const all = parts(packageRoot());
  const node = nodeFile();
  const folder = join(cacheDir(), "rootfs", "project", keyOf(all, node));
  const now = new Date();
  if (!existsSync(folder)) {
    try {
      assemble(folder, all, node);
    } catch (error) {
      throw cacheError(error);
    }
  }
  utimesSync(folder, now, now);
  return folder;
}

function assemble(folder: string, all: readonly Part[], node: string | undefined): void {
  const dir = dirname(folder);
  mkdirSync(dir, { recursive: true });
  removeOld(dir);
  const made = mkdtempSync(join(dir, ".new-"));
  try {
    for (const { from, to } of all) cpSync(from, join(made, to), { recursive: true, dereference: true });
    if (node !== undefined) {
      mkdirSync(dirname(join(made, node)), { recursive: true });
      const before = readdirSync(dir).map((name) => join(dir, name, node));
      copyOrLink(node, before, join(made, node));
    }
    chmodSync(made, 0o755);
    renameSync(made, folder);
  } catch (error) {
    // Somebody else made the same a moment before.
    if (!existsSync(folder)) throw error;
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
}

/** Node.js has 100 MB: one that is the same as in another folder is not copied again. */
function copyOrLink(node: string, others: readonly string[], to: string): void {
  const { size, mtimeMs } = statSync(node);
  for (const other of others) {
    const stat = other === to ? undefined : statSync(other, { throwIfNoEntry: false });
    if (stat?.size !== size || stat.mtimeMs !== mtimeMs) continue;
    linkSync(other, to);
    return;
  }
  copyFileSync(node, to);
  const { atime, mtime } = statSync(node);
  utimesSync(to, atime, mtime);
}

function removeOld(dir: string): void {
  for (const name of readdirSync(dir)) {
    const stat = statSync(join(dir, name), { throwIfNoEntry: false });
    if (stat === undefined || Date.now() - stat.mtimeMs < KEPT_DAYS * 86_400_000) continue;
    rmSync(join(dir, name), { recursive: true, force: true });
  }
}
