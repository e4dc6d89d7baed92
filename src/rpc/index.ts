// SPDX-License-Identifier: MIT
export { connect, RpcClient } from "./client.js";
export type {
  Attachment,
  Backend,
  ControllerInfo,
  InterfaceStatus,
  LoadParams,
  MapEntry,
  MapSummary,
  MapTarget,
  Method,
  Methods,
  Mode,
  Plain,
  PolicyStatus,
  Rule,
  RuleSpec,
  Stream,
  Streams,
  Subscription,
  VerdictCount,
} from "./protocol.js";
export { POLICY_TEXT } from "./protocol.js";
export { type Peer, RpcServer, type RpcServerOptions } from "./server.js";
