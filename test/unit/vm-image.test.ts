// SPDX-License-Identifier: MIT
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { cpio, treeEntries } from "../../src/vm/cpio.js";
import { imageCwd } from "../../src/vm/image.js";
import { initramfs } from "../../src/vm/initramfs.js";
import { projectFolder } from "../../src/vm/project.js";
import type { Kernel } from "../../src/vm/record.js";
import { rootKind } from "../../src/vm/root-kind.js";
import { rootSteps } from "../../src/vm/root-steps.js";

const PACKAGE = join(import.meta.dirname, "../..");
let dir: string;
let image: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "xdpctl-image-"));
  vi.stubEnv("XDPCTL_CACHE", join(dir, "cache"));
  image = join(dir, "image");
  mkdirSync(join(image, "usr/bin"), { recursive: true });
  mkdirSync(join(image, "tmp"));
  chmodSync(join(image, "tmp"), 0o1777);
  writeFileSync(join(image, "usr/bin/tool"), "#!/bin/sh\n", { mode: 0o755 });
  symlinkSync("usr/bin", join(image, "bin"));
});

afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(dir, { recursive: true, force: true });
});

const kernel = (config: string): Kernel => {
  writeFileSync(join(dir, "config"), config);
  const file = join(dir, "config");
  return { version: "7.2", source: file, image: file, modules: undefined, config: file, packages: {} };
};

describe("an image", () => {
  it("is packed as the kernel unpacks it, with links and rights, the same each time", () => {
    const pack = (): Buffer => Buffer.concat([...cpio(treeEntries(image, "image"))]);
    const packed = pack();
    utimesSync(join(image, "usr/bin/tool"), 1, 1);
    expect(pack().equals(packed)).toBe(true);
    const words = packed.toString("latin1");
    expect(words).toMatch(/070701[0-9a-f]{8}000043ff.*image\/tmp/s);
    expect(words).toMatch(/070701[0-9a-f]{8}0000a1ff.*image\/bin\0+usr\/bin/s);
    expect(words).toContain("#!/bin/sh\n");
    expect(words.indexOf("TRAILER!!!")).toBeGreaterThan(words.indexOf("#!/bin/sh"));
  });

  it("is packed anew when a file of it changed, also to the same size and time", () => {
    const options = { network: false, kinds: ["initramfs"] as const, trees: [{ from: image, to: "image" }] };
    const key = (): string => initramfs(kernel(""), options).key;
    const tool = join(image, "usr/bin/tool");
    utimesSync(tool, 0, 0);
    const before = key();
    expect(key()).toBe(before);
    writeFileSync(tool, "#!/bin/xx\n");
    utimesSync(tool, 0, 0);
    expect(key()).not.toBe(before);
  });

  it("comes over virtiofs, and in the initramfs where the kernel has none", () => {
    expect(rootKind(kernel("CONFIG_VIRTIO_FS=y\n"), undefined, true)).toBe("virtiofs");
    expect(rootKind(kernel("CONFIG_9P_FS=y\nCONFIG_NET_9P_VIRTIO=y\n"), undefined, true)).toBe("initramfs");
    expect(() => rootKind(kernel(""), "initramfs")).toThrow(expect.objectContaining({ code: "XDPCTL_E_USAGE" }));
  });

  it("is the first layer below what is written, xdpctl the second", () => {
    const options = {
      tag: "root",
      layered: true,
      cwd: "/",
      overlays: ["/"],
      visible: [],
      clearDirs: [],
      clearFiles: [],
    };
    const more = {
      writable: [{ path: "/srv/a", tag: "rw0" }],
      modules: "/m",
      version: "7.2",
      hostName: "h",
      image: true,
    };
    const steps = rootSteps({ ...options, ...more, type: "initramfs", shared: "9p" }).map((step) => step.join(" "));
    expect(steps).toContain(
      "mount overlay /root overlay 0 lowerdir=/image:/project,upperdir=/layer/upper,workdir=/layer/work",
    );
    expect(steps.filter((step) => / (virtiofs|9p) /.test(step))).toEqual([
      expect.stringMatching(/^mount rw0 \/root\/srv\/a 9p /),
    ]);
    const shared = rootSteps({ ...options, ...more, type: "virtiofs" }).map((step) => step.join(" "));
    expect(shared).toContain("mount modules /root/usr/lib/modules/7.2 virtiofs 1 ");
    expect(shared).toContain("mount project /project virtiofs 1 ");
  });

  it("keeps the directory of the command where it has it", () => {
    expect(imageCwd(image, [], "/usr/bin")).toBe("/usr/bin");
    expect(imageCwd(image, [], "/no/such")).toBe("/");
    expect(imageCwd(image, ["/srv"], "/srv/below")).toBe("/srv/below");
    expect(imageCwd(image, [], join(PACKAGE, "src"))).toBe(join(PACKAGE, "src"));
  });
});

describe("what a guest has from here", () => {
  it("is xdpctl as it is now, its packages and its Node.js, at their paths", () => {
    const folder = projectFolder();
    expect(projectFolder()).toBe(folder);
    for (const path of [join(PACKAGE, "dist/cli.cjs"), join(PACKAGE, "build/bpf/drop.bpf.o"), process.execPath])
      expect(readFileSync(join(folder, path)).equals(readFileSync(path))).toBe(true);
    expect(existsSync(join(folder, PACKAGE, "src"))).toBe(false);
    const { status, stdout } = spawnSync(process.execPath, [join(folder, PACKAGE, "bin/xdpctl.cjs"), "version"]);
    expect(String(stdout)).toMatch(/^xdpctl \d/);
    expect(status).toBe(0);
  });
});

describe("scripts/build-rootfs", () => {
  const script = join(PACKAGE, "scripts/build-rootfs");
  const build = (...words: string[]) => spawnSync(script, words, { encoding: "utf8", cwd: dir });

  it("refuses lists that are none, and a folder that it did not make", () => {
    expect(build("--packages", "nothing").stderr).toMatch(/no list of packages/);
    writeFileSync(join(dir, "list"), "# none\n");
    expect(build("--packages", "list").stderr).toMatch(/names no package/);
    writeFileSync(join(dir, "list"), "bash\n-o Dir::Etc=x\n");
    expect(build("--packages", "list").stderr).toMatch(/is no package's name/);
    expect(build("--output", "image").stderr).toMatch(/was not made by this script/);
    expect(build("--wrong").status).toBe(2);
  });
});
