// SPDX-License-Identifier: MIT
export { findSplats, type Splat } from "./splat.js";
