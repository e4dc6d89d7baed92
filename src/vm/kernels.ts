// SPDX-License-Identifier: MIT
import { existsSync, lstatSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { didYouMean, XdpctlError } from "../errors/index.js";
import { Suite } from "./apt.js";
import { withFolderLock, type Work } from "./cache.js";
import { cachedSuite, cachedVersion, fetchSuite, fetchVersion, kernelsOf, SEARCHED, sourceOf } from "./debian.js";
import { removeHeaders } from "./headers.js";
import { resolveHost, resolvePath } from "./local.js";
import { kernelsDir, type Kernel, readRecords } from "./record.js";
import { compareVersions, parseKernelSpec } from "./spec.js";

export interface ResolveOptions extends Work {
  /** Asks the archive anew where the answer is cached: a suite may have a newer kernel by now. */
  readonly refresh?: boolean;
}

/**
 * The kernel that `spec` names: FILE, a folder that a kernel was built in, VERSION (`6.12`, or `uname -r`), `host`, or
 * `debian:SUITE[:FLAVOUR]`. What is cached takes milliseconds and no network; the rest is fetched with apt into the cache,
 * which any number of processes share. Throws XDPCTL_E_USAGE, XDPCTL_E_NO_FILE, XDPCTL_E_NO_KERNEL, XDPCTL_E_BAD_KERNEL,
 * XDPCTL_E_DOWNLOAD, XDPCTL_E_CACHE, XDPCTL_E_TOOL, XDPCTL_E_INTERRUPTED.
 */
export async function resolveKernel(spec: string, options: ResolveOptions = {}): Promise<Kernel> {
  const parsed = parseKernelSpec(spec);
  if (options.signal?.aborted) throw new XdpctlError("XDPCTL_E_INTERRUPTED", "interrupted");
  switch (parsed.kind) {
    case "host":
      return resolveHost(options);
    case "path":
      return resolvePath(parsed.path, options);
    case "debian": {
      const cached = options.refresh ? undefined : cachedSuite(parsed.suite, parsed.flavour);
      return cached ?? fetchSuite(parsed.suite, parsed.flavour, options, options.refresh);
    }
    case "version": {
      const cached = options.refresh ? undefined : cachedVersion(parsed.version);
      return cached ?? fetchVersion(parsed.version, options, options.refresh);
    }
  }
}

export interface CachedKernel {
  readonly kernel: Kernel;
  /** Bytes on the disk. */
  readonly size: number;
  /** ISO 8601: when it came into the cache. */
  readonly made: string;
}

/** A kernel that an archive has. */
export interface AvailableKernel {
  readonly version: string;
  /** `debian:SUITE:FLAVOUR`. */
  readonly source: string;
  /** The version of its package. */
  readonly package: string;
}

export interface Kernels {
  /** Newest first. */
  readonly cached: readonly CachedKernel[];
  /** The newest of each series and suite, newest first; only of suites whose lists were read. */
  readonly available: readonly AvailableKernel[];
}

/** The kernels of the cache, and those that the archive has. Only with `update` it asks the archive. */
export async function listKernels(options: Work & { readonly update?: boolean } = {}): Promise<Kernels> {
  const cached = readRecords(kernelsDir()).map(({ kernel, folder, made }) => ({ kernel, size: sizeOf(folder), made }));
  cached.sort((a, b) => compareVersions(b.kernel.version, a.kernel.version));
  const available: AvailableKernel[] = [];
  for (const name of SEARCHED) {
    const suite = new Suite(name, options);
    if (options.update === true) await suite.update(true);
    if (suite.known) available.push(...(await newestOfEachSeries(suite)));
  }
  available.sort((a, b) => compareVersions(b.version, a.version));
  return { cached, available };
}

async function newestOfEachSeries(suite: Suite): Promise<AvailableKernel[]> {
  const newest = new Map<string, AvailableKernel>();
  for (const found of await kernelsOf(suite, "", "cloud-amd64")) {
    const { version, image } = found;
    const series = /^\d+\.\d+/.exec(version)?.[0] ?? version;
    if (!newest.has(series)) newest.set(series, { version, source: sourceOf(found), package: image.version });
  }
  return [...newest.values()];
}

function sizeOf(folder: string): number {
  let bytes = 0;
  for (const one of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (one.isFile())
      bytes += (lstatSync(join(one.parentPath, one.name), { throwIfNoEntry: false })?.blocks ?? 0) * 512;
  }
  return bytes;
}

/** Takes a kernel out of the cache. Throws XDPCTL_E_NO_KERNEL. */
export async function removeKernel(version: string, work: Work = {}): Promise<void> {
  const names = existsSync(kernelsDir()) ? readdirSync(kernelsDir()).filter((name) => !name.startsWith(".")) : [];
  if (!names.includes(version)) {
    throw new XdpctlError("XDPCTL_E_NO_KERNEL", `the cache has no kernel ${version}${didYouMean(version, names)}`);
  }
  await withFolderLock(join(kernelsDir(), version), work, async () => {
    rmSync(join(kernelsDir(), version), { recursive: true, force: true });
    removeHeaders(version);
  });
}
