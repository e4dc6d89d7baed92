// SPDX-License-Identifier: MIT
export { cacheDir } from "./cache.js";
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
