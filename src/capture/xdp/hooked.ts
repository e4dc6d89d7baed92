// SPDX-License-Identifier: MIT
import { BpfObject, type BpfProgram, builtinPath } from "../../bpf/index.js";
import { XdpctlError } from "../../errors/index.js";
import { attach, type CaptureHook, closeHook, hookOf, type XdpAttachment, type XdpInterface } from "../../xdp/index.js";
import type { FrameCounts } from "./counts.js";
import { goneOrReplaced } from "./ended.js";
import { CapturePrograms, setProgram, unsetProgram } from "./programs.js";
import type { CaptureHow, Way, WayOptions } from "./way.js";

/** So long frames are handed on after the last word of ours: then the program stops by itself. */
const LEASE_NS = 3_000_000_000n;
const FIRST = Buffer.alloc(4);

function until(hook: CaptureHook): bigint {
  return hook.until.getBytes(FIRST)?.readBigUInt64LE() ?? 0n;
}

/** A program of ours hands its frames on, with its verdict and the reason. */
export class HookedCapture implements Way {
  readonly how: CaptureHow;
  readonly #programs: CapturePrograms;
  readonly #hook: CaptureHook;
  readonly #at: XdpInterface;
  #own: { object: BpfObject; attachment: XdpAttachment } | undefined;

  private constructor(how: CaptureHow, at: XdpInterface, hook: CaptureHook, programs: CapturePrograms) {
    this.how = how;
    this.#at = at;
    this.#hook = hook;
    this.#programs = programs;
  }

  /** Throws XDPCTL_E_OCCUPIED where somebody captures by that program already. Takes `hook` over. */
  static async start(
    at: XdpInterface,
    how: CaptureHow,
    hook: CaptureHook,
    options: WayOptions,
  ): Promise<HookedCapture> {
    try {
      if (until(hook) > process.hrtime.bigint()) {
        throw new XdpctlError("XDPCTL_E_OCCUPIED", `${how.program} (id ${how.programId}) is being captured already`, {
          remedy: "one capture of a program at a time, also where it is on several interfaces: end the other one",
        });
      }
      const { ifindex } = how;
      const programs = await CapturePrograms.load({ ...options, ifindex, note: hook.note, frags: true });
      const made = new HookedCapture(how, at, hook, programs);
      setProgram(hook.hook, 0, programs.enter);
      made.#extend();
      return made;
    } catch (error) {
      closeHook(hook);
      throw error;
    }
  }

  /** Attaches `pass` for the time: natively where that can be done. */
  static async withPass(at: XdpInterface, options: WayOptions): Promise<HookedCapture> {
    const object = await BpfObject.load(builtinPath("pass"), { trusted: true });
    let attachment: XdpAttachment | undefined;
    try {
      const program = object.programs.pass as BpfProgram;
      const hook = hookOf(object.maps);
      if (hook === undefined) throw new XdpctlError("XDPCTL_E_NO_OBJECT", "the built-in program pass has no hook");
      attachment = attach(program, at.name);
      const { mode, fallback } = attachment;
      const how: CaptureHow = {
        ...{ interface: at.name, ifindex: at.ifindex, program: "pass", programId: program.id, mode, way: "pass" },
        verdicts: true,
        ...(fallback === undefined ? {} : { fallback }),
      };
      const made = await HookedCapture.start(at, how, hook, options);
      made.#own = { object, attachment };
      return made;
    } catch (error) {
      attachment?.close();
      object.close();
      throw error;
    }
  }

  #extend(): void {
    const value = Buffer.alloc(8);
    value.writeBigUInt64LE(process.hrtime.bigint() + LEASE_NS);
    this.#hook.until.setBytes(FIRST, value);
  }

  get ring(): CapturePrograms["ring"] {
    return this.#programs.ring;
  }

  get unfiltered(): string | undefined {
    return this.#programs.unfiltered;
  }

  get counts(): FrameCounts {
    return this.#programs.counts;
  }

  renew(): XdpctlError | undefined {
    const ended = goneOrReplaced(this.#at, this.how.programId, this.how.program);
    if (ended === undefined) this.#extend();
    return ended;
  }

  async release(): Promise<undefined> {
    this.#hook.until.setBytes(FIRST, Buffer.alloc(8));
    unsetProgram(this.#hook.hook, 0);
    this.#own?.attachment.close();
  }

  close(): void {
    this.#programs.close();
    closeHook(this.#hook);
    this.#own?.object.close();
  }
}
