// SPDX-License-Identifier: MIT
export { scriptArguments } from "./arguments.js";
export { checkPolicy, type PolicyCheck } from "./check.js";
export { Interactive, type InteractiveOptions, type RunResult } from "./interactive.js";
export type { PolicyMap } from "./maps.js";
export { DEFAULT_LIMITS, type PolicyLimits, type ScriptAction, type ScriptArguments } from "./messages.js";
export { ownerName, removeOwned } from "./owner.js";
export { Policy, type PolicyOptions, type PolicyState } from "./policy.js";
export { workerPath } from "./worker-path.js";
