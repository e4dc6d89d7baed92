// SPDX-License-Identifier: MIT
export { CODES, EXIT_CODES, type ErrorClass, type ErrorCode } from "./codes.js";
export { type ErrorDetails, type ErrorObject, XdpctlError } from "./error.js";
export { didYouMean, similar } from "./similar.js";
