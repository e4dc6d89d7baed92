// SPDX-License-Identifier: MIT
export { type AcceleratorChoice, type Accelerator, accelerator } from "./accel.js";
export { AGENT_IN_GUEST } from "./root-steps.js";
export { boot } from "./boot.js";
export { cacheDir } from "./cache.js";
export { Agent, type GuestHello } from "./agent.js";
export type { ConsoleLog } from "./console.js";
export { Guest } from "./guest.js";
export { type GuestOptions, guestCommand } from "./guest-plan.js";
export type { GuestCommand, GuestCommandOptions, GuestExit } from "./guest-command.js";
export type { GuestNetwork } from "./network.js";
export { kernelHeaders } from "./headers.js";
export {
  type AvailableKernel,
  type CachedKernel,
  type Kernels,
  listKernels,
  type ResolveOptions,
  removeKernel,
  resolveKernel,
} from "./kernels.js";
export type { Kernel } from "./record.js";
export { Relay } from "./relay.js";
export { removeDeadGuests } from "./run-dir.js";
export { imageCwd } from "./image.js";
export { type RootKind, rootKind } from "./root-kind.js";
export { type KernelSource, kernelSource } from "./source.js";
export { findSplats, type Splat } from "./splat.js";
export { type Streams, terminalOf, tie } from "./streams.js";
