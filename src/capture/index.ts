// SPDX-License-Identifier: MIT
export { type CaptureCounts, type CaptureOptions, PacketCapture } from "./capture.js";
export { compileFilter, type Filter } from "./filter.js";
export type { Frame } from "./ring.js";
