// SPDX-License-Identifier: MIT
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";

const XDPCTL = join(import.meta.dirname, "../../bin/xdpctl.cjs");
/** It has virtiofs, and 9p: that of the flavour cloud has not. */
const KERNEL = "debian:bookworm:amd64";
let dir: string;

function xdpctl(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [XDPCTL, ...args], {
    cwd: dir,
    encoding: "utf8",
    timeout: 240_000,
  });
  return { status, stdout, stderr };
}

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "xdpctl-root-9p-"));
  const fetched = xdpctl("vm", "kernels", "fetch", KERNEL);
  expect(fetched.stderr.includes("error"), fetched.stderr).toBe(false);
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

it("a guest has its root over 9p, and writes nothing on the host but --rw", () => {
  const place = (name: string): string => {
    mkdirSync(join(dir, name), { recursive: true });
    return join(dir, name);
  };
  const [real, layer] = [place("a,b real"), place("layer")];
  writeFileSync(join(layer, "old"), "old");
  const script = [
    "grep -c ' 9p ' /proc/mounts",
    `echo new > '${real}/new' && mv '${real}/new' '${real}/moved' && echo real`,
    `echo new > ${layer}/old && cat ${layer}/old`,
    // A guest that is root makes the share itself writable, as far as it is concerned: QEMU refuses.
    "m=/usr/lib/modules/$(uname -r); mount -o remount,rw $m; mount -o remount,bind,rw $m",
    'grep -c "^root $m 9p rw" /proc/mounts',
    "touch $m/xdpctl || echo refused",
    "chmod 700 $m || echo refused",
    "ln $m/modules.dep $m/xdpctl || echo refused",
    "echo x >> $m/modules.dep || echo refused",
    "echo x > $m/modules.dep.bin || echo refused",
    "exit 9",
  ].join("\n");
  const words = ["-v", "-k", KERNEL, "--root-fs", "9p", "--rw", real, "--overlay", layer];
  const { status, stdout, stderr } = xdpctl("vm", "run", ...words, "--", "sh", "-c", script);
  expect(stderr).toContain("root: / over 9p (QEMU), read-only in a mount namespace of its own");
  const refused = Array.from({ length: 5 }, () => "refused");
  expect(stdout.trim().split("\n").slice(1)).toEqual(["real", "new", "1", ...refused]);
  expect(status).toBe(9);
  expect(readFileSync(join(real, "moved"), "utf8")).toBe("new\n");
  expect(readFileSync(join(layer, "old"), "utf8")).toBe("old");
  const { kernel } = JSON.parse(xdpctl("vm", "run", "-k", KERNEL, "--dry-run", "--json", "--", "true").stdout);
  expect(existsSync(join(kernel.modules, "xdpctl"))).toBe(false);
});
