// SPDX-License-Identifier: MIT
export * from "./arp.js";
export * from "./checksum.js";
export * from "./ethernet.js";
export * from "./flow.js";
export * from "./frame.js";
export * from "./icmp.js";
export * from "./ipv4.js";
export * from "./ipv6.js";
export * from "./ndp.js";
export * from "./span.js";
export * from "./tcp.js";
export * from "./udp.js";
export { View } from "./view.js";
export * from "./wire.js";
