// SPDX-License-Identifier: MIT
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { readObjectSpec } from "../../src/bpf/index.js";
import { readLab } from "../../src/lab/index.js";
import { readBounded } from "../../src/linux/index.js";
import { checkPolicy } from "../../src/policy/index.js";

const folder = mkdtempSync(join(tmpdir(), "xdpctl-file-"));
afterAll(() => rmSync(folder, { recursive: true }));

describe("a file of a user's", () => {
  it("is read as it is, of whatever size its inode tells", () => {
    const file = join(folder, "file");
    for (const size of [0, 1, 65_536, 200_000]) {
      const bytes = Buffer.alloc(size, "x");
      writeFileSync(file, bytes);
      expect(readBounded(file, 200_000).equals(bytes)).toBe(true);
    }
    expect(readBounded("/proc/self/status", 65_536).toString()).toContain("Name:");
    expect(() => readBounded(file, 199_999)).toThrow("larger than 199999 bytes");
    expect(() => readBounded(folder, 10)).toThrow(expect.objectContaining({ code: "EISDIR" }));
    expect(() => readBounded(join(folder, "none"), 10)).toThrow(expect.objectContaining({ code: "ENOENT" }));
  });

  it("that has no end, or makes one wait, is refused", async () => {
    const pipe = join(folder, "pipe");
    expect(spawnSync("mkfifo", [pipe]).status).toBe(0);
    expect(() => readBounded(pipe, 10)).toThrow("a pipe");
    expect(() => readObjectSpec(pipe)).toThrow(expect.objectContaining({ code: "XDPCTL_E_NO_OBJECT" }));
    expect(() => readObjectSpec("/dev/zero")).toThrow(expect.objectContaining({ code: "XDPCTL_E_NO_OBJECT" }));
    expect(() => readLab("/dev/zero")).toThrow(expect.objectContaining({ code: "XDPCTL_E_NO_FILE" }));
    await expect(checkPolicy("/dev/zero")).rejects.toMatchObject({ code: "XDPCTL_E_NO_FILE" });
  });
});
