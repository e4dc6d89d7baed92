// SPDX-License-Identifier: MIT
export * from "./change-word.js";
export * from "./clamp-mss.js";
export * from "./echo.js";
export * from "./filter.js";
export * from "./ping.js";
export * from "./reset.js";
export { WordSearch } from "./search.js";
export { replyUdp } from "./udp-reply.js";
