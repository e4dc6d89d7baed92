// SPDX-License-Identifier: MIT
import { afterAll, beforeAll, expect, test } from "vitest";
import { InstalledPackage } from "../fixtures/install.js";
import { TestPair } from "../fixtures/netns.js";

let installed: InstalledPackage;
let pair: TestPair;
beforeAll(() => {
  installed = new InstalledPackage();
  pair = new TestPair();
}, 120_000);
afterAll(() => {
  pair.close();
  installed.close();
});

test("an install from the tarball, without clang on the PATH, drops packets and lets them through again", () => {
  const xdpctl = (...args: string[]) => pair.right.exec(installed.argv("xdpctl", ...args));
  expect(pair.left.ping(pair.rightAddress)).toBe(1);

  const load = xdpctl("load", "drop", "eth0");
  expect(load.stderr).toBe("");
  expect(load.stdout).toMatch(/eth0\s+drop\s+native/);
  expect(pair.left.ping(pair.rightAddress)).toBe(0);

  const unload = xdpctl("unload", "eth0");
  expect(unload.stderr).toBe("");
  expect(unload.status).toBe(0);
  expect(pair.left.ping(pair.rightAddress)).toBe(1);
});
