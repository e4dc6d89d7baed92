// SPDX-License-Identifier: MIT
export { captureAt } from "./capture.js";
export type { CaptureCounts, Frame } from "../capture/index.js";
export {
  type CheckResult,
  type CheckSpec,
  type Halt,
  type InsideMessage,
  type InsidePlan,
  junitText,
  type LabUp,
  TEST_EXIT,
  testInside,
  testLab,
  type TestOptions,
  type TestReport,
  type TestRun,
  timeText,
} from "./checks/index.js";
export type { DeployOptions, DeployProgress } from "./deploy.js";
export { type BringUpOptions, bringUp, deploy } from "./up.js";
export { type ImpairedEnd, type ImpairmentChange, impair, impairments } from "./impair.js";
export {
  IMPAIRMENT_KEYS,
  type Impairment,
  type ImpairmentKey,
  impairmentText,
  parseImpairment,
} from "./impairment.js";
export { type GuestPlaces, guestPlaces } from "./guest.js";
export { LabEvents } from "./events.js";
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
export { superviseGuest } from "./supervise.js";
export { flapLink, type LinkEndState, setLink } from "./link.js";
export { findLink, findPlace, type LinkPlaces, type Place } from "./place.js";
export { type LabWatch, watchLab } from "./watch.js";
export { switchNamespace } from "./paths.js";
export { parseLab, readLab } from "./parse.js";
export { errandPort, runErrand } from "./errand.js";
export { isReachable, leaveMachine } from "./outside.js";
export { LAB_SCHEMA, type LabFile, schemaText } from "./schema.js";
export type { BridgeSpec, EndSpec, InterfaceSpec, LabSpec, LinkSpec, NodeSpec, RouteSpec } from "./spec.js";
