// SPDX-License-Identifier: MIT
import { existsSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { XdpctlError } from "../errors/index.js";
import { Suite } from "./apt.js";
import type { AptPackage } from "./apt-text.js";
import { cacheDir, makeFolder, withFolderLock, type Work, writeWhole } from "./cache.js";
import { SEARCHED } from "./debian.js";
import { compareVersions, matches } from "./spec.js";
import { runTool } from "./tool.js";

/** A kernel's source, as Debian has it: with its patches, unpacked, never written to. */
export interface KernelSource {
  /** The top of the tree. */
  readonly folder: string;
  /** The package's name: `linux-source-7.2`. */
  readonly package: string;
  /** The package's version: `7.2.12-1~bpo13+1`. */
  readonly version: string;
  readonly suite: string;
}

const sourcesDir = (): string => join(cacheDir(), "sources");
const RECORD = "xdpctl-source.json";

const fits = (wanted: string, { name, version }: Pick<AptPackage, "name" | "version">): boolean =>
  matches(wanted, name.slice("linux-source-".length), version);

function readSource(folder: string): KernelSource | undefined {
  try {
    const record = JSON.parse(readFileSync(join(folder, RECORD), "utf8")) as Omit<KernelSource, "folder">;
    return existsSync(join(folder, "Makefile")) ? { ...record, folder } : undefined;
  } catch {
    return undefined;
  }
}

/** The newest cached source that `wanted` asks for. */
function cachedSource(wanted: string): KernelSource | undefined {
  const names = existsSync(sourcesDir()) ? readdirSync(sourcesDir()).filter((name) => !name.startsWith(".")) : [];
  return names
    .map((name) => readSource(join(sourcesDir(), name)))
    .filter((one) => one !== undefined)
    .filter((one) => fits(wanted, { name: one.package, version: one.version }))
    .sort((a, b) => compareVersions(b.version, a.version))[0];
}

/**
 * The source of the newest kernel that `wanted` (`7.2`, `7.2.12`) asks for, fetched into the cache where it is not there yet,
 * or where `refresh` asks the archive anew. A tree takes 1.7 GB. Throws XDPCTL_E_NO_KERNEL, XDPCTL_E_DOWNLOAD,
 * XDPCTL_E_CACHE, XDPCTL_E_TOOL, XDPCTL_E_INTERRUPTED.
 */
export async function kernelSource(
  wanted: string,
  options: Work & { readonly refresh?: boolean } = {},
): Promise<KernelSource> {
  const cached = options.refresh === true ? undefined : cachedSource(wanted);
  return cached ?? fetchSource(await search(wanted, options), options);
}

interface FoundSource {
  readonly suite: Suite;
  readonly package: AptPackage;
}

async function search(wanted: string, options: Work & { readonly refresh?: boolean }): Promise<FoundSource> {
  const there = new Set<string>();
  let failure: XdpctlError | undefined;
  for (const name of SEARCHED) {
    const suite = new Suite(name, options);
    try {
      await suite.update(options.refresh);
    } catch (error) {
      if (!XdpctlError.is(error, "XDPCTL_E_DOWNLOAD")) throw error;
      failure ??= error;
      continue;
    }
    const sources = await suite.find("linux-source-", /^linux-source-\d+\.\d+$/);
    const found = sources.find((one) => fits(wanted, one));
    if (found !== undefined) return { suite, package: found };
    for (const one of sources) there.add(one.name.slice("linux-source-".length));
  }
  if (there.size === 0 && failure !== undefined) throw failure;
  const versions = [...there].sort(compareVersions).join(", ");
  throw new XdpctlError("XDPCTL_E_NO_KERNEL", `no suite of Debian has the source of a kernel ${wanted}`, {
    lines: [`looked in ${SEARCHED.join(", ")}: they have ${versions}`],
    remedy: "name one of those, or a tree of your own",
  });
}

async function fetchSource({ suite, package: wanted }: FoundSource, work: Work): Promise<KernelSource> {
  const target = join(sourcesDir(), `${wanted.name}_${wanted.version}`);
  return withFolderLock(target, work, async () => {
    const before = readSource(target);
    if (before !== undefined) return before;
    const store = join(cacheDir(), "archives", wanted.name);
    const [file = ""] = await suite.download([wanted], store);
    work.log?.(`unpacking ${wanted.name} ${wanted.version}`);
    await makeFolder(target, async (made) => {
      await runTool(["dpkg-deb", "-x", file, join(made, "x")], work);
      await runTool(["tar", "-xf", join(made, "x", "usr", "src", `${wanted.name}.tar.xz`), "-C", made], work);
      rmSync(join(made, "x"), { recursive: true });
      const tree = join(made, wanted.name);
      for (const name of readdirSync(tree)) renameSync(join(tree, name), join(made, name));
      rmSync(tree, { recursive: true });
      const record = { package: wanted.name, version: wanted.version, suite: suite.name };
      writeWhole(join(made, RECORD), `${JSON.stringify(record, undefined, 2)}\n`);
    });
    rmSync(store, { recursive: true, force: true });
    return { folder: target, package: wanted.name, version: wanted.version, suite: suite.name };
  });
}
