// SPDX-License-Identifier: MIT
import { spawnSync } from "node:child_process";
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { kernelHeaders, kernelSource, listKernels, removeKernel, resolveKernel } from "../../src/vm/index.js";
import { FakeArchive } from "../fixtures/debian-archive.js";
import { fakeBzImage, fakeVmlinux } from "../fixtures/kernel-image.js";
import { hasTool, needs } from "../fixtures/needs.js";

let dir: string;
let archive: FakeArchive;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "xdpctl-archive-"));
  archive = new FakeArchive(dir);
  vi.stubEnv("XDPCTL_CACHE", join(dir, "cache"));
  vi.stubEnv("APT_CONFIG", archive.config);
});

afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(dir, { recursive: true, force: true });
});

/** A kernel as packages have been until 6.18, in one, and the meta package that leads to it. */
function addKernel(version: string, package_: string): string {
  const name = `linux-image-${version}`;
  const file = archive.add({
    name,
    version: package_,
    files: {
      [`boot/vmlinuz-${version}`]: fakeBzImage(version, "gzip", fakeVmlinux(version)),
      [`boot/config-${version}`]: "CONFIG_PVH=y\n",
      [`lib/modules/${version}/kernel/a.ko`]: fakeVmlinux("a"),
      [`lib/modules/${version}/modules.order`]: "kernel/a.ko\n",
    },
  });
  archive.add({ name: "linux-image-cloud-amd64", version: package_, depends: `${name} (= ${package_})`, files: {} });
  return file;
}

/** A kernel as packages are since: in parts, with headers. */
function addSplitKernel(version: string, package_: string): void {
  const lib = `usr/lib/modules/${version}`;
  const parts = {
    base: { [`${lib}/config`]: "CONFIG_PVH=y\n", [`${lib}/modules.order`]: "kernel/b.ko\n" },
    binary: { [`${lib}/vmlinuz`]: fakeBzImage(version, "gzip", fakeVmlinux(version)) },
    modules: { [`${lib}/kernel/b.ko`]: fakeVmlinux("b") },
  };
  const names = Object.entries(parts).map(([part, files]) => {
    archive.add({ name: `linux-${part}-${version}`, version: package_, files });
    return `linux-${part}-${version} (= ${package_})`;
  });
  archive.add({ name: `linux-image-${version}`, version: package_, depends: names.join(", "), files: {} });
  const source = `usr/src/linux-headers-${version}`;
  archive.add({
    name: `linux-headers-${version}`,
    version: package_,
    depends: "linux-headers-x-common, linux-kbuild-x",
    files: {
      [`${source}/Makefile`]: "include /usr/src/linux-headers-x-common/Makefile\n",
      [`${source}/.kernelvariables`]: "CC = $(CROSS_COMPILE)gcc-99\n",
      [`${source}/include/config/auto.conf`]: "CONFIG_SMP=y\nCONFIG_DEBUG_INFO_BTF_MODULES=y\n",
    },
  });
  archive.add({
    name: "linux-headers-x-common",
    version: package_,
    files: { "usr/src/linux-headers-x-common/Makefile": "" },
  });
  archive.add({ name: "linux-kbuild-x", version: package_, files: { "usr/lib/linux-kbuild-x/tool": "#!/bin/sh\n" } });
}

const code = (name: string) => expect.objectContaining({ code: name });
const kernels = (): string[] => readdirSync(join(dir, "cache", "kernels")).sort();

describe.skipIf(!hasTool("apt-get") || !hasTool("dpkg-deb"))("kernels of an archive", () => {
  it("are fetched once, and then need no archive", async () => {
    addKernel("6.1.0-9-cloud-amd64", "6.1.20-1");
    addKernel("6.1.0-10-cloud-amd64", "6.1.27-1");
    archive.publish("trixie-backports");
    const told: string[] = [];
    const kernel = await resolveKernel("debian:trixie-backports", { log: (text) => told.push(text) });
    expect(kernel).toMatchObject({
      version: "6.1.0-10-cloud-amd64",
      source: "debian:trixie-backports:cloud",
      packages: { "linux-image-6.1.0-10-cloud-amd64": "6.1.27-1" },
    });
    expect(readFileSync(kernel.image).equals(fakeVmlinux(kernel.version))).toBe(true);
    expect(readFileSync(kernel.config ?? "", "utf8")).toBe("CONFIG_PVH=y\n");
    expect(readdirSync(kernel.modules ?? "")).toEqual(expect.arrayContaining(["kernel", "modules.dep.bin"]));
    expect(told.length).toBeGreaterThan(1);

    archive.unplug();
    for (const spec of ["debian:trixie-backports", "debian:trixie-backports:cloud", "6.1", "6.1.27", kernel.version]) {
      expect(await resolveKernel(spec, { log: (text) => expect.fail(text) })).toEqual(kernel);
    }
    await expect(resolveKernel("6.2")).rejects.toThrow(code("XDPCTL_E_NO_KERNEL"));
    await expect(resolveKernel("debian:forky")).rejects.toThrow(code("XDPCTL_E_DOWNLOAD"));
    expect(readdirSync(join(dir, "cache", "apt"))).toEqual(["trixie-backports"]);
  });

  it("may be newer the next time that the archive is asked", async () => {
    addKernel("6.1.0-9-cloud-amd64", "6.1.20-1");
    archive.publish("trixie-backports");
    await resolveKernel("debian:trixie-backports");
    addKernel("6.1.0-10-cloud-amd64", "6.1.27-1");
    archive.publish("trixie-backports");
    expect(await resolveKernel("debian:trixie-backports")).toMatchObject({ version: "6.1.0-9-cloud-amd64" });
    const refreshed = await resolveKernel("debian:trixie-backports", { refresh: true });
    expect(refreshed).toMatchObject({ version: "6.1.0-10-cloud-amd64" });
    const listed = await listKernels();
    expect(listed.cached.map(({ kernel }) => kernel.version)).toEqual(["6.1.0-10-cloud-amd64", "6.1.0-9-cloud-amd64"]);
    expect(listed.available).toMatchObject([
      { version: "6.1.0-10-cloud-amd64", source: "debian:trixie-backports:cloud" },
    ]);
    await removeKernel("6.1.0-9-cloud-amd64");
    expect(kernels()).toEqual(["6.1.0-10-cloud-amd64"]);
    await expect(removeKernel("../..")).rejects.toThrow(code("XDPCTL_E_NO_KERNEL"));
  });

  it("come in parts, with headers to build modules", async () => {
    addSplitKernel("7.2.9+deb13-cloud-amd64", "7.2.9-1");
    archive.publish("trixie-backports");
    const [kernel, again] = await Promise.all([resolveKernel("7.2"), resolveKernel("7.2")]);
    expect(again).toEqual(kernel);
    expect(Object.keys(kernel.packages)).toHaveLength(4);
    const headers = await kernelHeaders(kernel);
    expect(readFileSync(join(headers, "Makefile"), "utf8")).toBe(
      `include ${dir}/cache/headers/${kernel.version}/usr/src/linux-headers-x-common/Makefile\n`,
    );
    expect(readFileSync(join(headers, ".kernelvariables"), "utf8")).toBe("CC = gcc\n");
    expect(readFileSync(join(headers, "include/config/auto.conf"), "utf8")).toBe("CONFIG_SMP=y\n");
  });

  it("come as source: the newest of a series, unpacked once", async (context) => {
    needs(context, hasTool("xz"), "xz");
    for (const version of ["6.9.1-1", "6.9.2-1"]) {
      mkdirSync(join(dir, "linux-source-6.9"), { recursive: true });
      writeFileSync(join(dir, "linux-source-6.9/Makefile"), `# ${version}\n`);
      const { stdout } = spawnSync("tar", ["-cJ", "-C", dir, "linux-source-6.9"]);
      archive.add({ name: "linux-source-6.9", version, files: { "usr/src/linux-source-6.9.tar.xz": stdout } });
    }
    archive.publish("trixie-backports");
    const [source, again] = await Promise.all([kernelSource("6.9"), kernelSource("6.9")]);
    expect(again).toEqual(source);
    expect(source).toMatchObject({ package: "linux-source-6.9", version: "6.9.2-1", suite: "trixie-backports" });
    expect(readFileSync(join(source.folder, "Makefile"), "utf8")).toBe("# 6.9.2-1\n");
    expect(await kernelSource("6.9.1")).toMatchObject({ version: "6.9.1-1" });
    await expect(kernelSource("6.8")).rejects.toThrow(code("XDPCTL_E_NO_KERNEL"));
    const abort = new AbortController();
    const log = (text: string): void => void (text.startsWith("unpacking") && abort.abort("SIGINT"));
    rmSync(source.folder, { recursive: true });
    await expect(kernelSource("6.9.2", { log, signal: abort.signal })).rejects.toThrow(code("XDPCTL_E_INTERRUPTED"));
    expect(readdirSync(join(dir, "cache", "sources"))).toEqual(["linux-source-6.9_6.9.1-1"]);
  });

  it("are no choice when a part is gone", async () => {
    addSplitKernel("7.2.9+deb13-cloud-amd64", "7.2.9-1");
    const image = "linux-image-7.2.11+deb13-cloud-amd64";
    archive.add({ name: image, version: "7.2.11-1", depends: "linux-modules-7.2.11+deb13-cloud-amd64", files: {} });
    archive.publish("trixie-backports");
    expect(await resolveKernel("7.2")).toMatchObject({ version: "7.2.9+deb13-cloud-amd64" });
  });

  it("are refused when they are not what the archive's lists say", async () => {
    const file = addKernel("6.1.0-9-cloud-amd64", "6.1.20-1");
    archive.publish("trixie-backports");
    writeFileSync(file, readFileSync(file).fill(0, 1000, 2000));
    await expect(resolveKernel("6.1")).rejects.toThrow(code("XDPCTL_E_DOWNLOAD"));
    appendFileSync(file, "more");
    await expect(resolveKernel("6.1")).rejects.toThrow(code("XDPCTL_E_DOWNLOAD"));
    expect(existsSync(join(dir, "cache", "kernels"))).toBe(false);
  });

  it("leave nothing half done when they are interrupted", async () => {
    addKernel("6.1.0-9-cloud-amd64", "6.1.20-1");
    archive.publish("trixie-backports");
    for (const when of ["reading", "fetching", "unpacking"]) {
      const abort = new AbortController();
      const log = (text: string): void => void (text.startsWith(when) && abort.abort("SIGINT"));
      const failed = resolveKernel("debian:trixie-backports", { log, signal: abort.signal });
      await expect(failed).rejects.toThrow(code("XDPCTL_E_INTERRUPTED"));
      expect(existsSync(join(dir, "cache", "kernels")) ? kernels() : []).toEqual([]);
    }
    expect(await resolveKernel("debian:trixie-backports")).toMatchObject({ version: "6.1.0-9-cloud-amd64" });
  });
});
