// SPDX-License-Identifier: MIT
import { type BpfMap, BpfObject, type BpfProgram, builtinPath, loadInstructions } from "../../bpf/index.js";
import { XdpctlError } from "../../errors/index.js";
import { translateFilter } from "../classic/translate.js";
import type { Filter } from "../filter.js";
import { type FrameCounts, readFrameCounts, word } from "./counts.js";

/** `STEP_*` of bpf/capture.bpf.c. */
const STEP = { FILTER: 0, RECORD: 1, NEXT: 2 } as const;
/** More bytes than any frame has. */
export const WHOLE = 0x4_0000;

export interface ProgramOptions {
  readonly ifindex: number;
  readonly filter: Filter | undefined;
  /** Bytes of a frame that are kept. */
  readonly snaplen: number | undefined;
  readonly ringBytes: number;
  /** Where the program that calls notes its verdicts; without it verdicts are not known. */
  readonly note?: BpfMap;
  /** False for the place of a program that can't take frames in several buffers. */
  readonly frags: boolean;
  /** The program that comes after. */
  readonly next?: BpfProgram;
}

/** The program that captures, its ring, its counters, and where its filter runs. */
export class CapturePrograms implements Disposable {
  readonly enter: BpfProgram;
  readonly ring: BpfMap;
  /** The programs that it calls: they stay as long as somebody has this open. */
  readonly steps: BpfMap;
  /** Why the filter can't run in the kernel; frames then come unfiltered and whole. */
  readonly unfiltered: string | undefined;
  readonly #object: BpfObject;
  readonly #counts: BpfMap;

  private constructor(object: BpfObject, enter: BpfProgram, unfiltered: string | undefined) {
    const { ring, steps, counts } = object.maps;
    if (ring === undefined || steps === undefined || counts === undefined) throw misbuilt();
    this.#object = object;
    this.enter = enter;
    this.ring = ring;
    this.steps = steps;
    this.#counts = counts;
    this.unfiltered = unfiltered;
  }

  /** Throws XDPCTL_E_VERIFIER or XDPCTL_E_LOAD on kernels before 5.18, and XDPCTL_E_LAYOUT where `next` can't be called. */
  static async load(options: ProgramOptions): Promise<CapturePrograms> {
    try {
      return await CapturePrograms.#load(options, options.filter);
    } catch (error) {
      // A filter that is too long, or that the verifier does not understand, runs here instead.
      if (!(error instanceof FilterRefused)) throw error;
      return await CapturePrograms.#load(options, undefined, error.message);
    }
  }

  static async #load(
    options: ProgramOptions,
    filter: Filter | undefined,
    unfiltered?: string,
  ): Promise<CapturePrograms> {
    const { ifindex, note, frags, next, ringBytes } = options;
    const [enter, record] = frags ? ["capture", "capture_record"] : ["capture_linear", "capture_record_linear"];
    const object = await BpfObject.load(builtinPath("capture"), {
      trusted: true,
      programs: [enter, record] as string[],
      maxEntries: { ring: ringBytes },
      variables: {
        only_ifindex: ifindex,
        snaplen: unfiltered === undefined ? (options.snaplen ?? WHOLE) : WHOLE,
        first_step: filter === undefined ? STEP.RECORD : STEP.FILTER,
        verdict_known: note === undefined ? 0 : 1,
      },
      ...(note === undefined ? {} : { reuse: { capture_note: note } }),
    });
    try {
      const { steps, capture_note } = object.maps;
      const programs = object.programs as Record<string, BpfProgram | undefined>;
      const [entry, keep] = [programs[enter as string], programs[record as string]];
      if (steps === undefined || capture_note === undefined || entry === undefined || keep === undefined)
        throw misbuilt();
      setProgram(steps, STEP.RECORD, keep);
      if (next !== undefined) setProgram(steps, STEP.NEXT, next);
      if (filter !== undefined) {
        const made = makeFilter(filter, steps.fd, capture_note.fd, frags);
        try {
          setProgram(steps, STEP.FILTER, made);
        } finally {
          made.close();
        }
      }
      return new CapturePrograms(object, entry, unfiltered);
    } catch (error) {
      object.close();
      throw error;
    }
  }

  get counts(): FrameCounts {
    return readFrameCounts(this.#counts);
  }

  close(): void {
    this.#object.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

class FilterRefused extends Error {}

function makeFilter(filter: Filter, steps: number, note: number, frags: boolean): BpfProgram {
  try {
    const exits = { steps, note, match: STEP.RECORD, mismatch: STEP.NEXT };
    return loadInstructions("capture_filter", translateFilter(filter, exits), { frags });
  } catch (error) {
    if (XdpctlError.is(error, "XDPCTL_E_NOT_SUPPORTED") || XdpctlError.is(error, "XDPCTL_E_VERIFIER")) {
      throw new FilterRefused(error.message);
    }
    throw error;
  }
}

export function setProgram(array: BpfMap, index: number, program: BpfProgram): void {
  array.setBytes(word(index), word(program.fd));
}

export function unsetProgram(array: BpfMap, index: number): void {
  array.deleteBytes(word(index));
}

function misbuilt(): XdpctlError {
  return new XdpctlError("XDPCTL_E_NO_OBJECT", "the built-in program capture lacks a part", {
    remedy: "run scripts/build-bpf --force",
  });
}
