// SPDX-License-Identifier: MIT
export {
  CODES,
  type ErrorClass,
  type ErrorCode,
  type ErrorDetails,
  type ErrorObject,
  EXIT_CODES,
  XdpctlError,
} from "./errors/index.js";
export * from "./events/index.js";
export { Loop, type LoopHandle, type LoopOptions } from "./loop/index.js";
export { attach, type ModeRequest, XdpAttachment, type XdpMode } from "./xdp/index.js";
