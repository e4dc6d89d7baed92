// SPDX-License-Identifier: MIT
export { Controller, type ControllerOptions } from "./controller.js";
export { directBackend } from "./direct.js";
