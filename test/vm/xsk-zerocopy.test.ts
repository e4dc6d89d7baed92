// SPDX-License-Identifier: MIT
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { findSplats, resolveKernel } from "../../src/vm/index.js";
import { XDPCTL } from "../fixtures/xdpctl.js";

/** virtio-net gives zero copy to a device that takes the addresses of the DMA API; to others it says EINVAL. */
const QEMU = `#!/bin/bash
for word; do
  [[ $word == virtio-net-pci,* ]] && word+=,iommu_platform=on,disable-legacy=on
  words+=("$word")
done
exec qemu-system-x86_64 "\${words[@]}"
`;

it.runIf(process.arch === "x64")("zero copy on virtio-net: requests go out and answers come in", async () => {
  const kernel = await resolveKernel("7.2");
  const folder = mkdtempSync(join(tmpdir(), "xdpctl-zerocopy-"));
  try {
    const qemu = join(folder, "qemu");
    writeFileSync(qemu, QEMU, { mode: 0o755 });
    const [node, xdpctl] = XDPCTL;
    const guest = [node, fileURLToPath(new URL("./guest/zerocopy.mjs", import.meta.url))];
    const machine = ["-k", kernel.version, "--net", "user", "--qemu", qemu, "--timeout", "3m"];
    const run = spawnSync(node, [xdpctl, "vm", "run", ...machine, "--", ...guest], {
      encoding: "utf8",
      maxBuffer: 1 << 24,
    });
    if (run.status !== 0) throw new Error(`${run.status}\n${run.stdout.slice(-2000)}\n${run.stderr.slice(-4000)}`);
    const { log, ...seen } = JSON.parse(run.stdout) as { log: string };
    const answered = { copy: "zerocopy", mode: "native", answers: ["10.0.2.2", "10.0.2.2", "10.0.2.2"] };
    expect(seen).toMatchObject({ zerocopy: { ...answered, freed: 4096 }, auto: answered });
    expect(findSplats(log)).toEqual([]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
