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
export { quickExec } from "./exec.js";
export { LabEvents } from "./events.js";
export type { Collected } from "./gc.js";
export type { InspectedGuest, InspectedInterface, InspectedNode, LabInspection } from "./inspect.js";
export type { InGuest, InGuestOptions } from "./in-guest/deploy.js";
export { GuestLab } from "./in-guest/guest-lab.js";
export { deployInside } from "./in-guest/inside.js";
export { Lab, type NamespacePaths } from "./lab.js";
export { destroy, gc, type LabSummary, list, openLab } from "./labs.js";
export type { Ending, SpawnOptions } from "./kinds/index.js";
export { deployInGuest, guestSplats, superviseGuest, superviseGuestLab } from "./with-qemu.js";
export { flapLink, type LinkEndState, setLink } from "./link.js";
export { findLink, findPlace, type LinkPlaces, type Place } from "./place.js";
export { type LabWatch, watchLab } from "./watch.js";
export { switchNamespace } from "./paths.js";
export { parseLab, readLab } from "./parse.js";
export { errandPort, runErrand } from "./errand.js";
export { isReachable, leaveMachine } from "./outside.js";
export { LAB_SCHEMA, type LabFile, schemaText } from "./schema.js";
export type { BridgeSpec, EndSpec, InterfaceSpec, LabSpec, LinkSpec, NodeSpec, RouteSpec } from "./spec.js";
export { watchLinks } from "./watch-links.js";
