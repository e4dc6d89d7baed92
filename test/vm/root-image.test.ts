// SPDX-License-Identifier: MIT
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const ROOT = join(import.meta.dirname, "../..");
const XDPCTL = join(ROOT, "bin/xdpctl.cjs");
const KERNEL = "7.2";
let dir: string;
let image: string;

function run(program: string, ...args: string[]) {
  const { NODE_EXTRA_CA_CERTS: _certificates, ...env } = process.env;
  return spawnSync(program, args, { cwd: dir, encoding: "utf8", timeout: 240_000, env });
}

const guest = (...args: string[]) => run(process.execPath, XDPCTL, "vm", "run", "-v", "-k", KERNEL, ...args);

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "xdpctl-root-image-"));
  const built = run(join(ROOT, "scripts/build-rootfs"), "--output", join(dir, "root"));
  expect(built.status, built.stderr).toBe(0);
  image = built.stdout.trim();
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe("a guest with a root of its own", () => {
  it("has none of this machine's files but xdpctl and --rw, over virtiofs", () => {
    mkdirSync(join(dir, "real"));
    const script = [
      "test -e /usr/bin/git || echo no git",
      `ls ${dir}`,
      `echo new > ${dir}/real/new`,
      "touch /usr/here && echo written",
      "mount -t virtiofs root /mnt; touch /mnt/usr/xdpctl-was-here || echo refused",
      "modprobe veth && ip link add left type veth peer name right && ip -br link show left | cut -d' ' -f1",
      `${XDPCTL} load drop lo | cut -d' ' -f1-3`,
    ].join("\n");
    const { status, stdout, stderr } = guest("--root", image, "--rw", join(dir, "real"), "--", "sh", "-c", script);
    expect(stderr).toMatch(/root: .*rootfs\/image-.* over virtiofs/);
    expect(stdout.trim().split("\n")).toEqual(["no git", "real", "written", "refused", "left@right", "lo  drop"]);
    expect(status).toBe(0);
    expect(readFileSync(join(dir, "real/new"), "utf8")).toBe("new\n");
    for (const name of ["usr/here", "usr/xdpctl-was-here"]) expect(existsSync(join(image, name))).toBe(false);
  });

  it("has the same in its memory, where the kernel has no virtiofs", () => {
    const script = `modprobe veth && touch /usr/here && ${XDPCTL} load drop lo | cut -d' ' -f1-3; ls -ld /tmp | cut -c1-10`;
    const { status, stdout, stderr } = guest("--root", image, "--root-fs", "initramfs", "--", "sh", "-c", script);
    expect(stderr).toContain("in its memory, unpacked from its initramfs");
    expect(stdout).toBe("lo  drop\ndrwxrwxrwt\n");
    expect(status).toBe(0);
  });

  it("is built to the byte the same", () => {
    const sum = readFileSync(join(realpathSync(image), "../root.sha256"), "utf8").trim();
    const { status, stderr } = run(join(ROOT, "scripts/build-rootfs"), "--output", join(dir, "root"), "--force");
    expect(stderr).toContain(`sha256 ${sum.slice(0, 16)}`);
    expect(status).toBe(0);
  });

  it("is refused what is for this machine's files", () => {
    expect(guest("--root", image, "--overlay", dir, "--", "true").stderr).toContain("--overlay, --clear-dir");
    expect(guest("--root", join(dir, "nothing"), "--", "true").stderr).toContain("XDPCTL_E_NO_FILE");
    expect(guest("--root-fs", "initramfs", "--", "true").stderr).toContain("don't fit into an initramfs");
  });
});
