// SPDX-License-Identifier: MIT
export type { QueueContext, QueueModule } from "./all/messages.js";
export { scavengeOnOneThread } from "./collector.js";
export { type QueueStatistics, type ServeAllOptions, type ServedInterface, serveAll } from "./all/serve-all.js";
export type { BusyPoll, CopyMode, CopyRequest } from "./bind.js";
export type { XskStatistics } from "./counters.js";
export type { Frame } from "./frame.js";
export { adoptSocket, PreparedSocket } from "./handover.js";
export type { TxMetadataOptions, TxRequests } from "./metadata.js";
export { type PacedOptions, type PacedResult, sendPaced } from "./paced.js";
export { DEFAULT_HEADROOM, Packet } from "./packet.js";
export { findPath, type Path, type PathOptions } from "./path.js";
export type { RingSizes } from "./ring.js";
export { encodeRule, type RedirectRule } from "./rule.js";
export type { ServeOptions, Wait } from "./serve.js";
export { type XskOptions, XskSocket } from "./socket.js";
export type { TimestampHandler, TxTimestamp } from "./timestamps.js";
export type { FrameHandler } from "./turn.js";
export { Umem, type UmemOptions } from "./umem.js";
