// SPDX-License-Identifier: MIT
export { type DeployOptions, type DeployProgress, deploy } from "./deploy.js";
export { type ImpairedEnd, type ImpairmentChange, impair, impairments } from "./impair.js";
export {
  IMPAIRMENT_KEYS,
  type Impairment,
  type ImpairmentKey,
  impairmentText,
  parseImpairment,
} from "./impairment.js";
export { type Collected, gc } from "./gc.js";
export type { InspectedInterface, InspectedNode, LabInspection } from "./inspect.js";
export {
  destroy,
  Lab,
  type LabSummary,
  list,
  type NamespacePaths,
} from "./lab.js";
export type { Ending, SpawnOptions } from "./kinds/index.js";
export { parseLab, readLab } from "./parse.js";
export { isReachable, leaveMachine } from "./outside.js";
export { LAB_SCHEMA, type LabFile, schemaText } from "./schema.js";
export type { BridgeSpec, EndSpec, InterfaceSpec, LabSpec, LinkSpec, NodeSpec, RouteSpec } from "./spec.js";
