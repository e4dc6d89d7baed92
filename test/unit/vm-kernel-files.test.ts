// SPDX-License-Identifier: MIT
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { makeFolder, withCacheLock } from "../../src/vm/cache.js";
import { resolveKernel } from "../../src/vm/index.js";
import { fakeBzImage, fakeVmlinux } from "../fixtures/kernel-image.js";
import { hasTool, needs } from "../fixtures/needs.js";

const VERSION = "6.9.1-test";
let dir: string;
const cacheBefore = process.env.XDPCTL_CACHE;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "xdpctl-kernels-"));
  process.env.XDPCTL_CACHE = join(dir, "cache");
});

afterEach(() => {
  if (cacheBefore === undefined) delete process.env.XDPCTL_CACHE;
  else process.env.XDPCTL_CACHE = cacheBefore;
  rmSync(dir, { recursive: true, force: true });
});

function write(name: string, bytes: Buffer | string): string {
  const path = join(dir, name);
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, bytes);
  return path;
}

describe("a kernel that is a file", () => {
  it.for(["gzip", "zstd", "lz4", "xz"] as const)("is booted uncompressed: %s", async (format, context) => {
    needs(context, format === "gzip" || hasTool(format), format);
    const vmlinux = fakeVmlinux(VERSION);
    const file = write("bzImage", fakeBzImage(VERSION, format, vmlinux));
    const kernel = await resolveKernel(file);
    expect(kernel).toMatchObject({ version: VERSION, source: file, modules: undefined });
    expect(readFileSync(kernel.image).equals(vmlinux)).toBe(true);
  });

  it("is looked at again only when it changed", async () => {
    const file = write("bzImage", fakeBzImage(VERSION, "gzip", fakeVmlinux(VERSION)));
    const first = await resolveKernel(file);
    const mark = join(first.image, "..", "mark");
    writeFileSync(mark, "");
    expect(await resolveKernel(file)).toEqual(first);
    expect(readdirSync(join(mark, ".."))).toContain("mark");
    write("bzImage", fakeBzImage("6.9.2-test", "gzip", fakeVmlinux("6.9.2-test")));
    expect(await resolveKernel(file)).toMatchObject({ version: "6.9.2-test" });
    expect(readdirSync(join(mark, ".."))).not.toContain("mark");
  });

  it("is the boot image itself where QEMU could not start the other", async () => {
    const file = write("bzImage", fakeBzImage(VERSION, "gzip", fakeVmlinux(VERSION, { pvh: false })));
    expect(await resolveKernel(file)).toMatchObject({ version: VERSION, image: file });
  });

  it("brings the modules beside it, made ready", async () => {
    const file = write("vmlinux", fakeVmlinux(VERSION));
    write(`lib/modules/${VERSION}/kernel/a.ko`, fakeVmlinux("a"));
    write(`lib/modules/${VERSION}/modules.order`, "kernel/a.ko\n");
    const kernel = await resolveKernel(file);
    expect(kernel.image).toBe(file);
    expect(kernel.modules).toContain("/cache/local/");
    expect(readdirSync(kernel.modules ?? "")).toContain("modules.dep.bin");
  });

  it("may be the folder that it was built in", async () => {
    write("tree/vmlinux", fakeVmlinux(VERSION));
    write("tree/.config", "CONFIG_PVH=y\n");
    write("tree/modules.order", "net/b.o\n");
    write("tree/net/b.ko", fakeVmlinux("b"));
    const kernel = await resolveKernel(join(dir, "tree"));
    expect(kernel).toMatchObject({ version: VERSION, config: join(dir, "tree/.config") });
    expect(readdirSync(join(kernel.modules ?? "", "kernel/net"))).toEqual(["b.ko"]);
  });

  it("is refused when it is none", async () => {
    const refused = async (path: string, code: string) =>
      expect(resolveKernel(path)).rejects.toThrow(expect.objectContaining({ code }));
    await refused(join(dir, "missing"), "XDPCTL_E_NO_FILE");
    await refused(write("text", "not a kernel"), "XDPCTL_E_BAD_KERNEL");
    await refused(write("empty", ""), "XDPCTL_E_BAD_KERNEL");
    await refused("/dev/zero", "XDPCTL_E_BAD_KERNEL");
    await refused(dir, "XDPCTL_E_BAD_KERNEL");
    await refused(write("other", fakeVmlinux(VERSION, { pvh: false })), "XDPCTL_E_BAD_KERNEL");
    const damaged = fakeBzImage(VERSION, "gzip", fakeVmlinux(VERSION));
    await refused(write("damaged", damaged.fill(0, 5 * 512 + 120)), "XDPCTL_E_BAD_KERNEL");
    symlinkSync("loop", join(dir, "loop"));
    await refused(join(dir, "loop"), "XDPCTL_E_NO_FILE");
    expect(
      readdirSync(join(dir, "cache"), { recursive: true }).filter((name) => String(name).includes("partial")),
    ).toEqual([]);
  });
});

describe("the cache", () => {
  it("lets one in at a time", async () => {
    const order: string[] = [];
    let done = (): void => {};
    const held = new Promise<void>((resolve) => {
      done = resolve;
    });
    const first = withCacheLock("x", {}, async () => {
      order.push("first");
      await held;
      order.push("first ends");
    });
    const told: string[] = [];
    const second = withCacheLock("x", { log: (text) => told.push(text) }, async () => void order.push("second"));
    const abort = new AbortController();
    const third = withCacheLock("x", { signal: abort.signal }, async () => void order.push("third"));
    abort.abort();
    await expect(third).rejects.toThrow(expect.objectContaining({ code: "XDPCTL_E_INTERRUPTED" }));
    done();
    await Promise.all([first, second]);
    expect(order).toEqual(["first", "first ends", "second"]);
    expect(told).toEqual(["another xdpctl works on x: waiting for it"]);
  });

  it("has whole folders or none, and removes what a killed process left", async () => {
    const target = join(dir, "cache", "kernels", "k");
    const names = () => readdirSync(join(target, ".."));
    await expect(makeFolder(target, async () => Promise.reject(new Error("no")))).rejects.toThrow("no");
    expect(names()).toEqual([]);
    mkdirSync(join(target, "..", ".other.partial-1"));
    await makeFolder(target, async (folder) => writeFileSync(join(folder, "f"), "1"));
    await makeFolder(target, async (folder) => writeFileSync(join(folder, "f"), "2"));
    expect(names()).toEqual(["k"]);
    expect(readFileSync(join(target, "f"), "utf8")).toBe("2");
  });

  it("says that it can't be a file", async () => {
    write("cache", "a file");
    const file = write("bzImage", fakeBzImage(VERSION, "gzip", fakeVmlinux(VERSION)));
    await expect(resolveKernel(file)).rejects.toThrow(expect.objectContaining({ code: "XDPCTL_E_CACHE" }));
  });
});
