// SPDX-License-Identifier: MIT
export * from "./dns.js";
export { Found } from "./found.js";
export * from "./http.js";
export * from "./tls.js";
