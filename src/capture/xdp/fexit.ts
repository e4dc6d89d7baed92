// SPDX-License-Identifier: MIT
import { attachTracing, BpfObject, type BpfMap, type BpfProgram, builtinPath } from "../../bpf/index.js";
import { XdpctlError } from "../../errors/index.js";
import type { XdpInterface } from "../../xdp/index.js";
import { type FrameCounts, readFrameCounts } from "./counts.js";
import { goneOrReplaced } from "./ended.js";
import { WHOLE } from "./programs.js";
import type { CaptureHow, Way, WayOptions } from "./way.js";

/** The kernel calls us at the end of a program that is not ours: its verdict is known, and nothing is replaced. */
export class FexitCapture implements Way {
  readonly how: CaptureHow;
  readonly ring: BpfMap;
  readonly unfiltered: string | undefined;
  readonly #at: XdpInterface;
  readonly #object: BpfObject;
  readonly #counts: BpfMap;
  readonly #link: { close(): void };

  private constructor(
    how: CaptureHow,
    at: XdpInterface,
    object: BpfObject,
    maps: { ring: BpfMap; counts: BpfMap },
    link: { close(): void },
    filtered: boolean,
  ) {
    this.how = how;
    this.#at = at;
    this.#object = object;
    this.ring = maps.ring;
    this.#counts = maps.counts;
    this.#link = link;
    this.unfiltered = filtered ? "fexit has no way into the frame for it" : undefined;
  }

  /** Undefined where it can't be done: the kernel refuses it, or the program has no BTF. */
  static async tryStart(
    at: XdpInterface,
    how: CaptureHow,
    program: BpfProgram,
    options: WayOptions,
  ): Promise<FexitCapture | undefined> {
    const name = program.functionName;
    if (name === undefined) return undefined;
    const filtered = options.filter !== undefined;
    let object: BpfObject | undefined;
    try {
      object = await BpfObject.load(builtinPath("capture_exit"), {
        trusted: true,
        programs: ["capture_exit"],
        traces: { program, function: name },
        maxEntries: { ring: options.ringBytes },
        variables: { only_ifindex: how.ifindex, snaplen: filtered ? WHOLE : (options.snaplen ?? WHOLE) },
      });
      const { ring, counts } = object.maps;
      const exit = object.programs.capture_exit;
      if (ring === undefined || counts === undefined || exit === undefined)
        throw new Error("capture_exit lacks a part");
      return new FexitCapture(how, at, object, { ring, counts }, attachTracing(exit), filtered);
    } catch (error) {
      object?.close();
      if (XdpctlError.is(error)) return undefined;
      throw error;
    }
  }

  get counts(): FrameCounts {
    return readFrameCounts(this.#counts);
  }

  renew(): XdpctlError | undefined {
    return goneOrReplaced(this.#at, this.how.programId, this.how.program);
  }

  async release(): Promise<undefined> {
    this.#link.close();
  }

  close(): void {
    this.#link.close();
    this.#object.close();
  }
}
