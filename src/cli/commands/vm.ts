// SPDX-License-Identifier: MIT
import type { Command } from "commander";
import { group } from "../command.js";
import type { Context } from "../context.js";
import { registerKernels } from "../vm/kernels.js";
import { registerRun } from "../vm/run.js";

/** `xdpctl vm`: kernels under QEMU. */
export function register(program: Command, context: Context): void {
  const vm = group(program, "vm", "machines with a kernel of their own", [
    ["xdpctl vm run -k 6.12 -- uname -r", "a command on another kernel, on top of this machine's files"],
    ["xdpctl vm kernels", "the kernels that are cached and available"],
    ["xdpctl vm kernels fetch 6.12", "fetch one from Debian"],
  ]);
  vm.enablePositionalOptions();
  registerRun(vm, context);
  registerKernels(vm, context);
}
