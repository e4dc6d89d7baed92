// SPDX-License-Identifier: MIT
export { Loop, type LoopHandle, type LoopOptions, type ReadyHandler } from "./loop.js";
export { Output, type OutputOptions } from "./output.js";
