// SPDX-License-Identifier: MIT
import { createHash } from "node:crypto";
import { cpSync, existsSync, readdirSync, readFileSync, realpathSync, statSync } from "node:fs";
import { release } from "node:os";
import { basename, dirname, join } from "node:path";
import { XdpctlError } from "../errors/index.js";
import { makeFolder, withFolderLock, type Work } from "./cache.js";
import { modulesReady, prepareModules } from "./modules.js";
import { type Kernel, localDir, readRecord, writeRecord } from "./record.js";
import { extractVmlinux, hasPvhEntry, isBzImage, isElf, LARGEST, versionOf } from "./vmlinux.js";

/** Changes when the file does, whatever tool wrote it. */
function identityOf(...paths: (string | undefined)[]): string {
  const parts = paths.map((path) => {
    const stat = path === undefined ? undefined : statSync(path, { bigint: true, throwIfNoEntry: false });
    return stat === undefined ? "-" : `${path}:${stat.dev}:${stat.ino}:${stat.size}:${stat.mtimeNs}`;
  });
  return createHash("sha256").update(parts.join("\n")).digest("hex");
}

interface Local {
  /** The kernel's image, absolute. */
  readonly file: string;
  readonly config?: string | undefined;
  /** A tree that the kernel was built in, with `modules.order`. */
  readonly tree?: string | undefined;
}

/** A kernel that is a file, or a folder that a kernel was built in. Throws XDPCTL_E_NO_FILE, XDPCTL_E_BAD_KERNEL. */
export async function resolvePath(path: string, work: Work): Promise<Kernel> {
  let real: string;
  try {
    real = realpathSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new XdpctlError("XDPCTL_E_NO_FILE", `there is no kernel ${path} (${code})`);
  }
  if (!statSync(real).isDirectory()) return resolveLocal({ file: real }, work);
  const file = ["vmlinux", "arch/x86/boot/bzImage", "vmlinuz"]
    .map((name) => join(real, name))
    .find((one) => existsSync(one));
  if (file === undefined) {
    throw new XdpctlError("XDPCTL_E_BAD_KERNEL", `no kernel was built in ${path}: it has no vmlinux`, {
      remedy: "build it first: make vmlinux, or make bzImage",
    });
  }
  const config = existsSync(join(real, ".config")) ? join(real, ".config") : undefined;
  return resolveLocal({ file, config, tree: existsSync(join(real, "modules.order")) ? real : undefined }, work);
}

/** The kernel that runs here, where its image is on the disk. Throws XDPCTL_E_NO_KERNEL. */
export async function resolveHost(work: Work): Promise<Kernel> {
  const version = release();
  const names = ["vmlinuz", "vmlinux", "bzImage"];
  const places = [
    ...["/lib/modules", "/usr/lib/modules"].flatMap((dir) => names.map((name) => join(dir, version, name))),
    ...names.map((name) => `/boot/${name}-${version}`),
    `/usr/lib/debug/boot/vmlinux-${version}`,
  ];
  const file = places.find((one) => existsSync(one));
  if (file !== undefined) return { ...(await resolvePath(file, work)), source: "host" };
  const there = existsSync("/boot") ? readdirSync("/boot").filter((name) => /^(vmlinu|bzImage)/.test(name)) : [];
  throw new XdpctlError("XDPCTL_E_NO_KERNEL", `the image of the running kernel ${version} is not on this disk`, {
    lines: [there.length === 0 ? "/boot has no kernel" : `/boot has ${there.join(", ")}`],
    remedy: "name another: debian:trixie-backports, 6.12, or a file; `xdpctl vm kernels` lists them",
  });
}

/** The folder of modules that belongs to an image: beside it, below it, or where the system keeps them. */
function modulesBeside(file: string, version: string): string | undefined {
  const dir = dirname(file);
  const places = [
    ...(basename(dir) === version ? [dir] : []),
    ...[dir, dirname(dir)].flatMap((one) =>
      ["lib/modules", "usr/lib/modules", "modules"].map((sub) => join(one, sub, version)),
    ),
    join("/lib/modules", version),
  ];
  return places.find((one) => existsSync(join(one, "modules.order")) || existsSync(join(one, "kernel")));
}

async function resolveLocal(local: Local, work: Work): Promise<Kernel> {
  const { file, tree } = local;
  const folder = join(localDir(), createHash("sha256").update(file).digest("hex").slice(0, 16));
  const identity = (modules?: string): string =>
    identityOf(file, modules === undefined ? undefined : join(modules, "modules.order"), ...builtModules(tree));
  const before = readRecord(folder);
  const [known, with_] = before?.identity?.split(" ") ?? [];
  if (before !== undefined && known === identity(with_)) return before.kernel;
  const bytes = readImage(file);
  const version = versionOf(bytes);
  if (version === undefined || !(isElf(bytes) || isBzImage(bytes))) {
    throw new XdpctlError("XDPCTL_E_BAD_KERNEL", `${file} is no kernel for x86-64: neither an ELF file nor a bzImage`);
  }
  if (isElf(bytes) && !hasPvhEntry(bytes)) {
    throw new XdpctlError("XDPCTL_E_BAD_KERNEL", `${file} has no entry point for QEMU`, {
      remedy: "build it with CONFIG_PVH=y, or name its bzImage",
    });
  }
  const beside = tree === undefined ? modulesBeside(file, version) : undefined;
  const config = local.config ?? configBeside(file, version);
  return withFolderLock(folder, work, async () => {
    await makeFolder(folder, async (made) => {
      const extracted = !isElf(bytes) && (await extractVmlinux(file, join(made, "vmlinux"), work));
      const modules = await modulesFor(made, version, beside, tree, work);
      const kernel = { version, source: file, image: extracted ? "vmlinux" : file, modules, config, packages: {} };
      writeRecord(made, kernel, beside === undefined ? identity() : `${identity(beside)} ${beside}`);
    });
    const made = readRecord(folder);
    if (made === undefined) throw new XdpctlError("XDPCTL_E_INTERNAL", `the cache lost ${folder}`);
    return made.kernel;
  });
}

/** The whole of a kernel's image. Throws XDPCTL_E_BAD_KERNEL for what is too large, or no file: a device has no end. */
function readImage(file: string): Buffer {
  const stat = statSync(file);
  if (!stat.isFile()) throw new XdpctlError("XDPCTL_E_BAD_KERNEL", `${file} is no regular file`);
  if (stat.size > LARGEST) throw new XdpctlError("XDPCTL_E_BAD_KERNEL", `${file} is larger than a kernel can be`);
  try {
    return readFileSync(file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new XdpctlError("XDPCTL_E_NO_FILE", `the kernel ${file} can't be read (${code})`, { cause: error });
  }
}

function configBeside(file: string, version: string): string | undefined {
  const dir = dirname(file);
  return [join(dir, `config-${version}`), join(dir, "config"), join(dir, ".config")].find((one) => existsSync(one));
}

/** The modules that were built in a tree, as `modules.order` lists them. */
function builtModules(tree: string | undefined): string[] {
  if (tree === undefined) return [];
  const listed = readFileSync(join(tree, "modules.order"), "utf8").split("\n");
  return listed.filter((line) => line !== "").map((line) => join(tree, line.replace(/\.o$/, ".ko")));
}

/** The folder of modules to use; one that is not ready is copied into the cache, `made`, and made so. */
async function modulesFor(
  made: string,
  version: string,
  beside: string | undefined,
  tree: string | undefined,
  work: Work,
): Promise<string | undefined> {
  const relative = join("lib", "modules", version);
  const target = join(made, relative);
  if (tree !== undefined) {
    for (const file of builtModules(tree)) cpSync(file, join(target, "kernel", file.slice(tree.length)));
    for (const name of ["modules.order", "modules.builtin", "modules.builtin.modinfo"]) {
      if (existsSync(join(tree, name))) cpSync(join(tree, name), join(target, name));
    }
  } else if (beside === undefined || modulesReady(beside)) {
    return beside;
  } else {
    cpSync(beside, target, { recursive: true, filter: (path) => !/\/(build|source|vmlinu[xz])$/.test(path) });
  }
  await prepareModules(made, version, work);
  return relative;
}
