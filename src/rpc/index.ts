// SPDX-License-Identifier: MIT
export { CONTROL_ADDRESS } from "./address.js";
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
export { type Peer, RpcServer, type RpcServerOptions } from "./server.js";
