// SPDX-License-Identifier: MIT
export { checkPolicy, type PolicyCheck } from "./check.js";
export type { GenericAccess, GenericGroupName, GenericNews, GenericRequest } from "./genl.js";
export { LONGEST_REQUEST } from "./genl.js";
export { Interactive, type InteractiveOptions, type RunResult } from "./interactive.js";
export type { PolicyMap } from "./maps.js";
export { DEFAULT_LIMITS, MAX_SOURCE } from "./messages.js";
export type { PolicyLimits, ScriptAction, ScriptArguments } from "./messages.js";
export { ownerName, removeOwned } from "./owner.js";
export { OFFERED, type PacketAccess, type PacketFeed } from "./packet-feed.js";
export { type PacketFilter, PacketMatch } from "./packet-filter.js";
export { PACKET_VERDICT } from "./packet-ring.js";
export { Policy, type PolicyOptions, type PolicyState } from "./policy.js";
