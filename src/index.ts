// SPDX-License-Identifier: MIT
export * from "./errors/index.js";
export * from "./events/index.js";
export { attach, type ModeRequest, XdpAttachment, type XdpMode } from "./xdp/index.js";
