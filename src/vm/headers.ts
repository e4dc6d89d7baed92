// SPDX-License-Identifier: MIT
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { XdpctlError } from "../errors/index.js";
import { Suite } from "./apt.js";
import type { AptPackage } from "./apt-text.js";
import { cacheDir, makeFolder, withFolderLock, type Work } from "./cache.js";
import { wrapTools } from "./glibc.js";
import type { Kernel } from "./record.js";
import { runTool } from "./tool.js";

const headersDir = (version: string): string => join(cacheDir(), "headers", version);

/**
 * The folder to build modules for `kernel` in: `make -C FOLDER M=$PWD modules`. For a kernel from packages they are
 * fetched and made to work with the compiler and the C library of this system; for another it is what it was built in.
 * Throws XDPCTL_E_NO_KERNEL when there are no headers, and what fetching throws.
 */
export async function kernelHeaders(kernel: Kernel, work: Work = {}): Promise<string> {
  const { version, source } = kernel;
  const suite = /^debian:([^:]+):/.exec(source)?.[1];
  if (suite === undefined) return builtHeaders(kernel);
  const target = headersDir(version);
  const folder = join(target, "usr", "src", `linux-headers-${version}`);
  if (existsSync(join(target, "done"))) return folder;
  return withFolderLock(target, work, async () => {
    if (existsSync(join(target, "done"))) return folder;
    const from = new Suite(suite, work);
    await from.update();
    const packages = await headerPackages(from, kernel);
    const store = join(cacheDir(), "archives", `headers-${version}`);
    const files = await from.download(packages, store);
    await makeFolder(target, async (made) => {
      for (const file of files) await runTool(["dpkg-deb", "-x", file, made], work);
      relocate(join(made, "usr", "src", `linux-headers-${version}`), target);
      await wrapTools(made, target, suite.replace(/-.*/, ""), packages, work);
      writeFileSync(join(made, "done"), "");
    });
    rmSync(store, { recursive: true, force: true });
    return folder;
  });
}

/** What `make modules` needs: the headers of the flavour, those of all flavours, and the kernel's own build tools. */
async function headerPackages(suite: Suite, { version, packages }: Kernel): Promise<AptPackage[]> {
  const [headers] = await suite.show([`linux-headers-${version}`]);
  const names = headers?.depends.filter((name) => /^linux-(headers-.*-common|kbuild-)/.test(name)) ?? [];
  const found = headers === undefined ? [] : [headers, ...(await newest(suite, names))];
  const same = headers?.version === packages[`linux-image-${version}`];
  if (found.length < 3 || !same) {
    throw new XdpctlError(
      "XDPCTL_E_NO_KERNEL",
      `Debian's ${suite.name} has no headers of the kernel ${version} any more`,
      {
        remedy: "fetch a newer kernel: `xdpctl vm kernels fetch VERSION`",
      },
    );
  }
  return found;
}

async function newest(suite: Suite, names: readonly string[]): Promise<AptPackage[]> {
  const found = await suite.show(names);
  return names.map((name) => found.find((one) => one.name === name)).filter((one) => one !== undefined);
}

/** The compiler that the kernel was built with, where it is installed, else this system's own. */
function compiler(variables: string): string {
  const wanted = /\bgcc-\d+/.exec(variables)?.[0];
  return wanted !== undefined && spawnSync(wanted, ["--version"], { stdio: "ignore" }).status === 0 ? wanted : "gcc";
}

const understands = (cc: string, option: string): boolean =>
  spawnSync(cc, [option, "-c", "-x", "c", "/dev/null", "-o", "/dev/null"], { stdio: "ignore" }).status === 0;

/** The packages expect to lie in /usr/src, with the compiler that they name; and pahole beside them. */
function relocate(folder: string, target: string): void {
  edit(join(folder, "Makefile"), (text) => text.replaceAll("/usr/src/", `${target}/usr/src/`));
  let cc = "gcc";
  edit(join(folder, ".kernelvariables"), (text) => {
    cc = compiler(text);
    return `${text.replace(/^CC = .*\n/m, "")}CC = ${cc}\n`;
  });
  // Only what make reads: the C macros, which the layout of structures hangs on, stay.
  edit(join(folder, "include", "config", "auto.conf"), (text) => {
    // A module's BTF is made from the kernel's own, with pahole, and nobody has either here.
    const off = ["CONFIG_DEBUG_INFO_BTF_MODULES"];
    const alignment = /^CONFIG_FUNCTION_ALIGNMENT=(\d+)/m.exec(text)?.[1] ?? "16";
    if (!understands(cc, `-fmin-function-alignment=${alignment}`)) off.push("CONFIG_CC_HAS_MIN_FUNCTION_ALIGNMENT");
    return text.replace(new RegExp(`^(${off.join("|")})=y\n`, "gm"), "");
  });
}

function edit(file: string, change: (text: string) => string): void {
  writeFileSync(file, change(readFileSync(file, "utf8")));
}

function builtHeaders(kernel: Kernel): string {
  const near = [
    kernel.source.replace(/\/(vmlinu[xz]|arch\/x86\/boot\/bzImage)$/, ""),
    ...(kernel.modules === undefined ? [] : [join(kernel.modules, "build")]),
    `/lib/modules/${kernel.version}/build`,
  ];
  const found = near.find((one) => existsSync(join(one, "Makefile")) && existsSync(join(one, "Module.symvers")));
  if (found !== undefined) return found;
  throw new XdpctlError("XDPCTL_E_NO_KERNEL", `there are no headers of the kernel ${kernel.version}`, {
    remedy: `install linux-headers-${kernel.version}, or name the folder that the kernel was built in`,
  });
}

/** Takes the headers of a kernel out of the cache. */
export function removeHeaders(version: string): void {
  rmSync(headersDir(version), { recursive: true, force: true });
}
