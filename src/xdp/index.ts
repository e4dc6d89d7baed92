// SPDX-License-Identifier: MIT
export type { ModeRequest, XdpMode } from "./attach.js";
export { type Attachment, Instance } from "./attachment.js";
export { Attachments, type Loaded, type LoadOutcome, type LoadRequest } from "./attachments.js";
export { type CaptureHook, closeHook, findHook, hookOf } from "./hook.js";
export { attach, XdpAttachment } from "./public.js";
export { XdpInterface } from "./interface.js";
export { type ForeignPlace, isAttached, restoreProgram } from "./swap.js";
export {
  type Count,
  isStats,
  noCounts,
  readCounts,
  readLost,
  VERDICT_NAMES,
  type VerdictCounts,
  type VerdictName,
} from "./stats.js";
