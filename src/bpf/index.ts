// SPDX-License-Identifier: MIT
export { ensureBpffs, findBpffs } from "./bpffs.js";
export { Btf, type BtfMember, type BtfType, type Codec, Codecs, type Value } from "./btf/index.js";
export { BUILTIN_PROGRAMS, builtinPath, isBuiltin } from "./builtin.js";
export {
  bootTimeToDate,
  kernelBtf,
  LINK_TYPE_XDP,
  type LinkInfo,
  linkInfo,
  type MapInfo,
  type MapType,
  mapInfo,
  type ProgramInfo,
  programInfo,
} from "./info.js";
export { FIB, FibLookup } from "./fib.js";
export { loadInstructions } from "./instructions.js";
export { ids, libbpf, type ObjectKind, possibleCpus, rawMap } from "./libbpf.js";
export type { Injector } from "./inject.js";
export { XdpLink } from "./link.js";
export { BpfMap } from "./map.js";
export {
  type AnyObject,
  BpfObject,
  type LoadOptions,
  type ObjectSpec,
  type ObjectTypes,
  readObjectSpec,
} from "./object.js";
export { BpfProgram, type TestRunner, type TestRunResult } from "./program.js";
export { attachTracing } from "./tracing.js";
export { RecordStream } from "./records.js";
export { type RecordHandler, RingBuffer } from "./ringbuf.js";
export { summarise, type VerifierSummary } from "./verifier.js";
