// SPDX-License-Identifier: MIT
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { remaining, snapshot } from "../fixtures/leaks.js";

test("a temporary file and a process that stay are named, and are no leak once they are gone", async () => {
  const before = snapshot();
  const folder = mkdtempSync(join(tmpdir(), "xdpctl-leak-"));
  const run = `leak-${process.pid}`;
  const child = spawn("sleep", ["60"], { env: { ...process.env, XDPCTL_TEST_RUN: run } });
  const gone = new Promise((resolve) => child.on("close", resolve));
  try {
    await new Promise((resolve) => child.on("spawn", resolve));
    const left = await remaining(before, run, 0);
    expect(left).toContain(`file ${folder}`);
    expect(left).toContain(`process ${child.pid} (sleep 60)`);
  } finally {
    child.kill();
    await gone;
    rmSync(folder, { recursive: true });
  }
  const after = await remaining(before, run, 2000);
  expect(after.filter((text) => text.includes(folder) || text.includes("sleep 60"))).toEqual([]);
});
