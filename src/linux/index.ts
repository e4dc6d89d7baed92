// SPDX-License-Identifier: MIT
export * from "./address.js";
export * from "./capability.js";
export * from "./epoll.js";
export * from "./errno.js";
export * from "./fd.js";
export * from "./file.js";
export * from "./ffi.js";
export * from "./flock.js";
export * from "./inherit.js";
export * from "./interface.js";
export * from "./kmsg.js";
export * from "./mapping.js";
export * from "./mount.js";
export * from "./namespace.js";
export * from "./process.js";
export * from "./socket.js";
export * from "./timerfd.js";
