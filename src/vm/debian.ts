// SPDX-License-Identifier: MIT
import { cpSync, existsSync, mkdirSync, readlinkSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { XdpctlError } from "../errors/index.js";
import { Suite } from "./apt.js";
import type { AptPackage } from "./apt-text.js";
import { cacheDir, makeFolder, withFolderLock, type Work } from "./cache.js";
import { prepareModules } from "./modules.js";
import { kernelsDir, type Kernel, readRecord, readRecords, writeRecord } from "./record.js";
import { compareVersions, matches } from "./spec.js";
import { runTool } from "./tool.js";
import { extractVmlinux } from "./vmlinux.js";

/** Where a version is looked for, in this order: suites with short lists and new kernels first. */
export const SEARCHED: readonly string[] = [
  "bookworm-security",
  "bookworm-backports",
  "trixie-security",
  "trixie-backports",
  "bookworm",
  "trixie",
  "sid",
];

/** A kernel of a suite, and the package that its image is in. */
export interface Found {
  readonly suite: Suite;
  readonly version: string;
  readonly flavour: string;
  readonly image: AptPackage;
}

export const sourceOf = (found: Found): string =>
  `debian:${found.suite.name}:${found.flavour.replace(/(.)-amd64$/, "$1")}`;

/** `cloud-amd64` of `7.2.12+deb13-cloud-amd64`, `amd64` of `6.1.0-56-amd64`. */
export function flavourOfVersion(version: string): string | undefined {
  return /-((?:[a-z][a-z0-9]*-)?amd64)$/.exec(version)?.[1];
}

/** The kernel that a suite's meta package leads to now. */
async function newestOf(suite: Suite, flavour: string): Promise<Found> {
  const [meta] = await suite.show([`linux-image-${flavour}`]);
  const name = meta?.depends.find((one) => /^linux-image-\d/.test(one));
  const [image] = name === undefined ? [] : await suite.show([name]);
  if (image === undefined) {
    throw new XdpctlError("XDPCTL_E_NO_KERNEL", `Debian's ${suite.name} has no kernel of the flavour ${flavour}`);
  }
  return { suite, flavour, image, version: image.name.slice("linux-image-".length) };
}

/** The kernels of a suite that begin so, newest first: those that are whole, for archives forget parts of old ones. */
export async function kernelsOf(suite: Suite, prefix: string, flavour: string): Promise<Found[]> {
  const filter = new RegExp(`^linux-image-\\d[0-9.+~a-z]*(-\\d+)?(\\.[0-9.]+)?-${flavour}$`);
  const there = new Set(await suite.names("linux-"));
  return (await suite.find(`linux-image-${prefix}`, filter))
    .map((image) => ({ suite, flavour, image, version: image.name.slice("linux-image-".length) }))
    .filter(({ image, version }) => partsOf(image, version).every((name) => there.has(name)));
}

/** The newest kernel of a suite that `wanted` asks for. */
async function findIn(suite: Suite, wanted: string, flavour: string): Promise<Found | undefined> {
  const series = /^\d+\.\d+/.exec(wanted)?.[0] ?? wanted;
  const found = await kernelsOf(suite, series, flavour);
  return found.find(({ version, image }) => matches(wanted, version, image.version));
}

/** Looks for a version through the suites. Throws XDPCTL_E_NO_KERNEL, XDPCTL_E_DOWNLOAD when no suite could be read. */
async function search(wanted: string, work: Work, anew: boolean): Promise<Found> {
  const flavour = flavourOfVersion(wanted) ?? "cloud-amd64";
  let failure: XdpctlError | undefined;
  let read = 0;
  for (const name of SEARCHED) {
    const suite = new Suite(name, work);
    try {
      await suite.update(anew);
      read += 1;
    } catch (error) {
      if (!XdpctlError.is(error, "XDPCTL_E_DOWNLOAD")) throw error;
      failure ??= error;
      continue;
    }
    const found = await findIn(suite, wanted, flavour);
    if (found !== undefined) return found;
  }
  if (read === 0 && failure !== undefined) throw failure;
  const text = `no suite of Debian has a kernel ${wanted} of the flavour ${flavour}`;
  throw new XdpctlError("XDPCTL_E_NO_KERNEL", text, { lines: [`looked in ${SEARCHED.join(", ")}`] });
}

const memory = (suite: string, flavour: string): string => join(cacheDir(), "specs", `${suite}:${flavour}`);

/** The kernel that `debian:SUITE:FLAVOUR` was the last time. */
export function cachedSuite(suite: string, flavour: string): Kernel | undefined {
  try {
    return readRecord(join(kernelsDir(), readlinkSync(memory(suite, flavour))))?.kernel;
  } catch {
    return undefined;
  }
}

function remember(suite: string, flavour: string, version: string): void {
  const link = memory(suite, flavour);
  mkdirSync(join(link, ".."), { recursive: true });
  rmSync(`${link}.new`, { force: true });
  symlinkSync(version, `${link}.new`);
  renameSync(`${link}.new`, link);
}

/** The newest cached kernel that `wanted` asks for; of the flavour cloud where it names none. */
export function cachedVersion(wanted: string): Kernel | undefined {
  const flavour = flavourOfVersion(wanted) ?? "cloud-amd64";
  const fits = ({ kernel }: { kernel: Kernel }): boolean =>
    flavourOfVersion(kernel.version) === flavour &&
    matches(wanted, kernel.version, kernel.packages[`linux-image-${kernel.version}`]);
  const found = readRecords(kernelsDir()).filter(fits);
  return found.sort((a, b) => compareVersions(b.kernel.version, a.kernel.version))[0]?.kernel;
}

/** Fetches the kernel that a suite's meta package leads to now; `anew`: whatever the age of the lists that are here. */
export async function fetchSuite(name: string, flavour: string, work: Work, anew = false): Promise<Kernel> {
  const suite = new Suite(name, work);
  await suite.update(anew);
  const found = await newestOf(suite, flavour);
  const kernel = await fetchFound(found, work);
  remember(name, flavour, kernel.version);
  return kernel;
}

/** Fetches the newest kernel that `wanted` asks for; `anew` as above. */
export async function fetchVersion(wanted: string, work: Work, anew = false): Promise<Kernel> {
  return fetchFound(await search(wanted, work, anew), work);
}

async function fetchFound(found: Found, work: Work): Promise<Kernel> {
  const { version, image } = found;
  const target = join(kernelsDir(), version);
  return withFolderLock(target, work, async () => {
    const before = readRecord(target);
    if (before?.kernel.packages[image.name] === image.version) return before.kernel;
    const packages = await packagesOf(found);
    const store = join(cacheDir(), "archives", version);
    const files = await found.suite.download(packages, store);
    work.log?.(`unpacking ${version}`);
    await makeFolder(target, async (folder) => {
      for (const file of files) await runTool(["dpkg-deb", "-x", file, join(folder, "x")], work);
      await arrange(folder, version, work);
      writeRecord(folder, {
        version,
        source: sourceOf(found),
        image: existsSync(join(folder, "vmlinux")) ? "vmlinux" : "vmlinuz",
        modules: join("lib", "modules", version),
        config: existsSync(join(folder, "config")) ? "config" : undefined,
        packages: Object.fromEntries([image, ...packages].map((one) => [one.name, one.version])),
      });
    });
    rmSync(store, { recursive: true, force: true });
    const made = readRecord(target);
    if (made === undefined) throw new XdpctlError("XDPCTL_E_INTERNAL", `the cache lost ${target}`);
    return made.kernel;
  });
}

/** Since 6.19 a kernel's image package only leads to others: binary, modules, and base, which has the configuration. */
function partsOf(image: AptPackage, version: string): string[] {
  const parts = ["base", "binary", "modules"].map((part) => `linux-${part}-${version}`);
  return image.depends.filter((name) => parts.includes(name));
}

async function packagesOf({ suite, version, image }: Found): Promise<AptPackage[]> {
  const parts = partsOf(image, version);
  if (parts.length === 0) return [image];
  const found = (await suite.show(parts)).filter((one) => one.version === image.version);
  if (found.length < parts.length) {
    throw new XdpctlError(
      "XDPCTL_E_NO_KERNEL",
      `Debian's ${suite.name} has no more than parts of the kernel ${version}`,
    );
  }
  return found;
}

/** Makes of unpacked packages what a kernel of the cache is: vmlinux, config, lib/modules. */
async function arrange(folder: string, version: string, work: Work): Promise<void> {
  const unpacked = join(folder, "x");
  const found = (...paths: string[]): string | undefined =>
    paths.map((path) => join(unpacked, path)).find((path) => existsSync(path));
  const modules = found(`lib/modules/${version}`, `usr/lib/modules/${version}`);
  const boot = found(`boot/vmlinuz-${version}`, `usr/lib/modules/${version}/vmlinuz`);
  const config = found(`boot/config-${version}`, `usr/lib/modules/${version}/config`);
  if (boot === undefined || modules === undefined) {
    throw new XdpctlError("XDPCTL_E_BAD_KERNEL", `the packages of ${version} hold no kernel image or no modules`);
  }
  if (!(await extractVmlinux(boot, join(folder, "vmlinux"), work))) {
    rmSync(join(folder, "vmlinux"), { force: true });
    cpSync(boot, join(folder, "vmlinuz"));
  }
  if (config !== undefined) cpSync(config, join(folder, "config"));
  mkdirSync(join(folder, "lib", "modules"), { recursive: true });
  renameSync(modules, join(folder, "lib", "modules", version));
  rmSync(join(folder, "lib", "modules", version, "vmlinuz"), { force: true });
  rmSync(unpacked, { recursive: true });
  await prepareModules(folder, version, work);
}
