// SPDX-License-Identifier: MIT
export { startRepl } from "./start.js";
