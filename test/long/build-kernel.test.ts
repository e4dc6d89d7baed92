// SPDX-License-Identifier: MIT
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { hasTool, needs } from "../fixtures/needs.js";

const ROOT = join(import.meta.dirname, "../..");
const TOOLS = ["gcc", "make", "flex", "bison", "bc", "pahole"];
let dir: string;

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "xdpctl-build-kernel-"));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function fragment(name: string, ...lines: string[]): string {
  const path = join(dir, `${name}.config`);
  writeFileSync(path, `${lines.join("\n")}\n`);
  return path;
}

function build(...words: string[]) {
  const command = ["-n", "19", join(ROOT, "scripts/build-kernel"), ...words];
  return spawnSync("nice", command, { encoding: "utf8", timeout: 5_000_000 });
}

function guest(...words: string[]) {
  const command = [join(ROOT, "bin/xdpctl.cjs"), "vm", "run", "-v", ...words];
  return spawnSync(process.execPath, command, { encoding: "utf8", timeout: 120_000, cwd: ROOT });
}

it("an option that was not taken is an error that names it", (context) => {
  for (const tool of TOOLS) needs(context, hasTool(tool), tool);
  const asked = ["CONFIG_NO_SUCH=y", "CONFIG_KASAN_VMALLOC=y", "# CONFIG_DUMMY is not set"];
  const { status, stdout, stderr } = build("--config", "--fragment", fragment("wrong", ...asked));
  expect(stderr).toContain("CONFIG_NO_SUCH=y: this kernel has no such option");
  expect(stderr).toMatch(/CONFIG_KASAN_VMALLOC=y: it is n; depends on .*VMALLOC/);
  expect(stderr).not.toContain("DUMMY");
  expect(stdout).toBe("");
  expect(status).toBe(1);
});

it("a kernel is built once, boots with this machine's files and xdpctl, and takes another option quickly", (context) => {
  for (const tool of TOOLS) needs(context, hasTool(tool), tool);
  // The folder in the cache has the fragment's name: what was built there last time is gone on with.
  const lines = ['CONFIG_LOCALVERSION="-long"', "# CONFIG_VIRTIO_FS is not set"];
  const words = ["--fragment", fragment("test-no-virtiofs", ...lines)];
  const first = build(...words);
  expect(first.status, first.stderr).toBe(0);
  const kernel = first.stdout.trim();

  const again = build(...words);
  expect(again.stderr).toMatch(/-long is built/);
  expect(again.stdout).toBe(first.stdout);

  const script = "uname -r; cat /proc/sys/net/core/bpf_jit_enable; bin/xdpctl.cjs load guard lo | cut -d' ' -f1-3";
  const run = guest("-k", kernel, "--", "sh", "-c", script);
  expect(run.stderr).toContain("over 9p (QEMU)");
  expect(run.stdout).toMatch(/^7\.2\.\d+-long\n1\nlo {2}guard\n$/);

  fragment("test-no-virtiofs", ...lines, "CONFIG_NLMON=y");
  const started = performance.now();
  const changed = build(...words);
  expect(changed.status, changed.stderr).toBe(0);
  // Compiled are one driver and what knows all options; most of it is the link, with its BTF.
  expect(performance.now() - started).toBeLessThan(900_000);
  const nlmon = guest("-k", kernel, "--", "ip", "link", "add", "x", "type", "nlmon");
  expect(nlmon.status, nlmon.stderr).toBe(0);
});
