// SPDX-License-Identifier: MIT
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { findSplats, resolveKernel } from "../../src/vm/index.js";
import { XDPCTL } from "../fixtures/xdpctl.js";

/** What a script of test/vm/guest/ prints in a guest. */
function inGuest<T>(kernel: string, net: string, script: string): T {
  const [node, xdpctl] = XDPCTL;
  const guest = [node, fileURLToPath(new URL(`./guest/${script}`, import.meta.url))];
  const words = [xdpctl, "vm", "run", "-k", kernel, "--net", net, "--timeout", "3m", "--", ...guest];
  const run = spawnSync(node, words, { encoding: "utf8", maxBuffer: 1 << 24 });
  if (run.status !== 0) throw new Error(`${run.status}\n${run.stdout.slice(-2000)}\n${run.stderr.slice(-4000)}`);
  return JSON.parse(run.stdout) as T;
}

it.runIf(process.arch === "x64")("zero copy on virtio-net: requests go out and answers come in", async () => {
  const kernel = await resolveKernel("7.2");
  const { log, ...seen } = inGuest<{ log: string }>(kernel.version, "user,zerocopy", "zerocopy.mjs");
  const answered = { mode: "native", answers: ["10.0.2.2", "10.0.2.2", "10.0.2.2"] };
  expect(seen).toMatchObject({
    zerocopy: { ...answered, copy: "zerocopy", freed: 4096 },
    auto: { ...answered, copy: "zerocopy" },
    // The driver does not look at TX metadata: a checksum that is asked for would be nobody's.
    metadata: { error: { code: "XDPCTL_E_NOT_SUPPORTED" } },
    autoMetadata: { ...answered, copy: "copy", timestamps: true },
  });
  expect(findSplats(log)).toEqual([]);
});

it.runIf(process.arch === "x64")("without the DMA API, or before 6.8, the kernel says no", async () => {
  const kernel = await resolveKernel("6.1");
  const seen = inGuest<object>(kernel.version, "user", "zerocopy.mjs");
  expect(seen).toMatchObject({
    zerocopy: { error: { code: "XDPCTL_E_ZERO_COPY" } },
    auto: { copy: "copy", answers: ["10.0.2.2", "10.0.2.2", "10.0.2.2"] },
    metadata: { error: { code: "XDPCTL_E_NOT_SUPPORTED" } },
    autoMetadata: { error: { code: "XDPCTL_E_NOT_SUPPORTED", errno: 22 } },
  });
});
