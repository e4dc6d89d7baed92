// SPDX-License-Identifier: MIT
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { findSplats, resolveKernel } from "../../src/vm/index.js";
import { compileBpf } from "../fixtures/compile.js";
import { XDPCTL } from "../fixtures/xdpctl.js";

/** A firewall of somebody else, with a name that is longer than the kernel keeps: it drops pings of 98 bytes. */
const FIREWALL = `
SEC("xdp") int firewall_of_somebody_else(struct xdp_md *ctx)
{
	return ctx->data_end - ctx->data == 98 ? XDP_DROP : XDP_PASS;
}
`;

interface Seen {
  status: number;
  stderr: string;
  frames: { verdict: string; length: number; hex: string }[];
  pings: number[];
  same: boolean;
  log: string;
}

it("a program that is not ours is captured with its verdict by fexit, where the kernel allows it, and stays untouched", async () => {
  const kernel = await resolveKernel("7.2");
  const folder = mkdtempSync(join(tmpdir(), "xdpctl-capture-"));
  try {
    const object = join(folder, "firewall.bpf.o");
    writeFileSync(object, compileBpf(FIREWALL));
    const [node, xdpctl] = XDPCTL;
    const guest = [node, fileURLToPath(new URL("./guest/capture.mjs", import.meta.url)), object];
    const modules = ["--module", "veth"];
    const argv = [xdpctl, "vm", "run", "-k", kernel.version, ...modules, "--timeout", "3m", "--", ...guest];
    const run = spawnSync(node, argv, { encoding: "utf8", maxBuffer: 1 << 24 });
    if (run.status !== 0) throw new Error(`${run.status}\n${run.stdout.slice(-2000)}\n${run.stderr.slice(-4000)}`);
    const seen = JSON.parse(run.stdout) as Seen;
    expect(seen.stderr).toMatch(
      /^capturing on left: firewall_of_somebody_else \(id \d+\) \(native\); not ours, so by fexit; .*user space/,
    );
    expect(seen).toMatchObject({ status: 0, pings: [0, 2], same: true });
    expect(seen.frames.map(({ verdict, length, hex }) => [verdict, length, hex.length])).toEqual([
      ["DROP", 98, 120],
      ["DROP", 98, 120],
      ["PASS", 142, 120],
      ["PASS", 142, 120],
    ]);
    expect(findSplats(seen.log)).toEqual([]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
