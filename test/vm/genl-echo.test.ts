// SPDX-License-Identifier: MIT
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { findSplats, type Kernel, resolveKernel } from "../../src/vm/index.js";
import { XDPCTL } from "../fixtures/xdpctl.js";

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));

interface Seen {
  echo: unknown;
  missing: { code: string; kernel: string };
  events: { command: number; message: string; sequence: number; age: number }[];
  log: string;
  [fact: string]: unknown;
}

function build(spec: string): void {
  const argv = [path("../../scripts/build-kmod"), "--quiet", "--kernel", spec, "genl-echo"];
  const { status, stderr } = spawnSync(argv[0] ?? "", argv.slice(1), { encoding: "utf8" });
  if (status !== 0) throw new Error(stderr);
}

/** What the guest's program saw. The module is loaded by the program, which unloads it, too. */
function runGuest(kernel: Kernel): Seen {
  const [node, xdpctl] = XDPCTL;
  const module = path(`../../build/kmod/${kernel.version}/genl-echo.ko`);
  const guest = [node, path("./guest/genl-echo.mjs"), module];
  const run = spawnSync(node, [xdpctl, "vm", "run", "-k", kernel.version, "--timeout", "2m", "--", ...guest], {
    encoding: "utf8",
    maxBuffer: 1 << 24,
  });
  if (run.status !== 0) throw new Error(`${run.status}\n${run.stdout.slice(-2000)}\n${run.stderr.slice(-4000)}`);
  return JSON.parse(run.stdout) as Seen;
}

describe.each(["6.1", "6.12", "7.2"])("genl-echo in a guest of Linux %s", (spec) => {
  it("echoes, refuses, tells, and is unloaded without a splat or a leak", async () => {
    const kernel = await resolveKernel(spec);
    build(spec);
    const seen = runGuest(kernel);

    expect(seen.family).toMatchObject({ name: "ECHO", version: 1, groups: [{ name: "events" }] });
    expect(seen.echo).toMatchObject({ answers: [{ command: 1, attributes: [{ type: 1, text: "hello" }] }] });
    expect(seen.missing).toMatchObject({ code: "XDPCTL_E_NETLINK", kernel: "there is no text to echo" });
    expect(seen.long).toBe("the text is longer than 1023 bytes");
    expect(seen).toMatchObject({ longest: 1024, noNul: expect.any(String), unknown: expect.any(String) });
    expect(seen.event).not.toBeNull();

    expect(seen.events.map(({ command, message }) => [command, message])).toEqual([
      [2, "from the kernel\0"],
      ...Array.from({ length: 3 }, () => [2, "tick\0"]),
    ]);
    expect(seen.events.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4]);
    for (const { age } of seen.events) expect(age).toBeGreaterThan(0);
    for (const { age } of seen.events) expect(age).toBeLessThan(30);
    expect(seen).toMatchObject({ tooLong: "EMSGSIZE", binary: "EINVAL", interval: "ERANGE" });

    expect(seen.leaked).toBeLessThan(500);
    expect(seen).toMatchObject({ listening: true, gone: true });
    expect(findSplats(seen.log)).toEqual([]);
  });
});
