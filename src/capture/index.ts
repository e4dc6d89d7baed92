// SPDX-License-Identifier: MIT
export { type CaptureCounts, type CaptureOptions, PacketCapture } from "./capture.js";
export { compileFilter, type Filter } from "./filter.js";
export type { Frame } from "./ring.js";
export { CapturedFrame } from "./xdp/frame.js";
export { XdpCapture, type XdpCaptureCounts, type XdpCaptureOptions } from "./xdp/capture.js";
export type { CaptureHow } from "./xdp/way.js";
