// SPDX-License-Identifier: MIT
import type { VmSpec } from "../../spec.js";
import type { NodeDraft } from "../../topology.js";

const KERNEL = "7.2";
const MEMORY = "1G";
const CPUS = 2;

/** What the lab file says of a guest. */
export function vmSpec({ settings }: NodeDraft): VmSpec {
  const { kernel = KERNEL, root, memory = MEMORY, cpus = CPUS, modules = [], lab = false, zerocopy } = settings;
  const size = Number.parseInt(memory, 10) * (memory.endsWith("G") ? 1024 : 1);
  const common = { kernel, ...(root === undefined ? {} : { root }), memory: size, cpus, modules, lab };
  return zerocopy === true ? { ...common, zerocopy } : common;
}
