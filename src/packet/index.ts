// SPDX-License-Identifier: MIT
export * from "./address.js";
export * from "./arp.js";
export * from "./checksum.js";
export * from "./describe.js";
export * from "./ethernet.js";
export * from "./icmp.js";
export * from "./ipv4.js";
export * from "./ipv6.js";
export * from "./mac.js";
export * from "./pcapng.js";
export * from "./pcapng-stream.js";
export * from "./mproxy.js";
export * from "./protocol.js";
export * from "./tcp.js";
export * from "./udp.js";
