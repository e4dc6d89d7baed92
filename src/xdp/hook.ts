// SPDX-License-Identifier: MIT
import { BpfMap, type BpfProgram } from "../bpf/index.js";

/** Where a program of ours lets its frames be seen: the maps of bpf/include/capture.h. */
export interface CaptureHook {
  /** CLOCK_MONOTONIC, ns, until which frames are handed on; 0 for not. */
  readonly until: BpfMap;
  /** Per CPU: the time, verdict and reason of the frame that is handed on. */
  readonly note: BpfMap;
  /** Entry 0: the program that frames are handed to. */
  readonly hook: BpfMap;
}

const SHAPES: Record<string, { type: string; key: number; value: number }> = {
  capture_until: { type: "array", key: 4, value: 8 },
  capture_note: { type: "percpu_array", key: 4, value: 16 },
  capture_hook: { type: "prog_array", key: 4, value: 4 },
};

/** The hook among a program's maps; undefined where they are another's, or of another layout. */
export function hookOf(maps: Readonly<Record<string, BpfMap | undefined>>): CaptureHook | undefined {
  for (const [name, shape] of Object.entries(SHAPES)) {
    const info = maps[name]?.info;
    if (info?.type !== shape.type || info.keySize !== shape.key || info.valueSize !== shape.value) return undefined;
  }
  const { capture_until: until, capture_note: note, capture_hook: hook } = maps;
  return until === undefined || note === undefined || hook === undefined ? undefined : { until, note, hook };
}

/** Opens the hook of a program that runs already, whoever loaded it, by the ids of its maps. Needs CAP_SYS_ADMIN. */
export function findHook(program: BpfProgram): CaptureHook | undefined {
  const maps: Record<string, BpfMap> = {};
  for (const id of program.info.mapIds) {
    const map = BpfMap.fromId(id);
    if (Object.hasOwn(SHAPES, map.name) && maps[map.name] === undefined) maps[map.name] = map;
    else map.close();
  }
  const found = hookOf(maps);
  if (found === undefined) for (const map of Object.values(maps)) map.close();
  return found;
}

export function closeHook({ until, note, hook }: CaptureHook): void {
  for (const map of [until, note, hook]) map.close();
}
