// SPDX-License-Identifier: MIT
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { configInside } from "../../src/vm/features.js";
import { guestCommand } from "../../src/vm/guest-plan.js";
import { plan9Folder } from "../../src/vm/qemu.js";
import type { Kernel } from "../../src/vm/record.js";
import { rootKind } from "../../src/vm/root-kind.js";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "xdpctl-root-"));
  vi.stubEnv("XDPCTL_CACHE", join(dir, "cache"));
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(dir, { recursive: true, force: true });
});

function write(name: string, contents: string | Buffer): string {
  const path = join(dir, name);
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, contents);
  return path;
}

function kernel(more: Partial<Kernel>): Kernel {
  const image = write("vmlinux", Buffer.alloc(64));
  return { version: "7.2-test", source: image, image, modules: undefined, config: undefined, packages: {}, ...more };
}

function modules(builtin: string[], files: string[] = []): string {
  write("m/modules.builtin", builtin.map((name) => `kernel/${name}.ko\n`).join(""));
  write("m/modules.dep", files.map((name) => `kernel/${name}.ko:\n`).join(""));
  return join(dir, "m");
}

describe("the root of a guest", () => {
  it("is virtiofs where the kernel has it, as a module or built in", () => {
    expect(rootKind(kernel({ modules: modules(["fs/fuse/virtiofs", "fs/9p/9p", "net/9p/9pnet_virtio"]) }))).toBe(
      "virtiofs",
    );
    expect(rootKind(kernel({ modules: modules([], ["fs/fuse/virtiofs"]) }))).toBe("virtiofs");
    // Nothing is known of it.
    expect(rootKind(kernel({}))).toBe("virtiofs");
  });

  it("is 9p where it has only that: it says so in its list of modules, beside it, or inside", () => {
    expect(rootKind(kernel({ modules: modules(["fs/9p/9p"], ["net/9p/9pnet_virtio"]) }))).toBe("9p");
    const text = "# CONFIG_VIRTIO_FS is not set\nCONFIG_9P_FS=y\nCONFIG_NET_9P_VIRTIO=y\n";
    expect(rootKind(kernel({ config: write("config", text) }))).toBe("9p");
    const image = Buffer.concat([
      Buffer.alloc(99, "x"),
      Buffer.from("IKCFG_ST"),
      gzipSync(text),
      Buffer.from("IKCFG_ED"),
    ]);
    expect(configInside(image)).toBe(text);
    expect(configInside(Buffer.from("IKCFG_ST\x1f\x8bdamagedIKCFG_ED", "latin1"))).toBeUndefined();
    expect(rootKind(kernel({ image: write("with-config", image) }))).toBe("9p");
  });

  it("is refused where the kernel has neither, or not the one that was asked for", () => {
    const neither = { modules: modules(["fs/9p/9p"]) };
    expect(() => rootKind(kernel(neither))).toThrow(/Linux 7.2-test has neither virtiofs nor 9p/);
    expect(() => rootKind(kernel({ modules: modules(["fs/fuse/virtiofs"]) }), "9p")).toThrow(/has no 9p/);
    // A module that nobody can load.
    const config = write("config", "CONFIG_VIRTIO_FS=m\nCONFIG_9P_FS=m\n");
    expect(() => rootKind(kernel({ config }))).toThrow(expect.objectContaining({ code: "XDPCTL_E_BAD_KERNEL" }));
  });

  it("over 9p is exported read-only, whatever its name", () => {
    expect(plan9Folder("root", "/a,b", false).qemu.join(" ")).toBe(
      "-fsdev local,id=fs-root,path=/a,,b,security_model=none,multidevs=remap,readonly=on " +
        "-device virtio-9p-pci,fsdev=fs-root,mount_tag=root",
    );
    expect(plan9Folder("rw0", "/a", true).qemu.join(" ")).not.toContain("readonly");
  });

  it("shows on QEMU's command line", () => {
    const words = guestCommand({
      kernel: kernel({ config: write("config", "CONFIG_9P_FS=y\nCONFIG_NET_9P_VIRTIO=y\n") }),
      qemu: process.execPath,
      writable: ["/srv"],
    }).join(" ");
    expect(words).toContain("path=/,security_model=none,multidevs=remap,readonly=on");
    expect(words).toContain("path=/srv,security_model=none,multidevs=remap -device");
    expect(words).not.toContain("vhost-user-fs");
  });
});
