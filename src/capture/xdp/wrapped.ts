// SPDX-License-Identifier: MIT
import { XdpctlError } from "../../errors/index.js";
import type { BpfProgram } from "../../bpf/index.js";
import { errno } from "../../linux/index.js";
import type { ForeignPlace, XdpInterface } from "../../xdp/index.js";
import { Guardian } from "./guardian.js";
import type { FrameCounts } from "./counts.js";
import { goneOrReplaced } from "./ended.js";
import { CapturePrograms } from "./programs.js";
import type { CaptureHow, Way, WayOptions } from "./way.js";
import { WrapperPins } from "./wrapper-pins.js";

/**
 * A program that captures is put in the place of one that is not ours, and calls it: what that one decides is what
 * happens, but it is not known when the frame is captured.
 */
export class WrappedCapture implements Way {
  readonly how: CaptureHow;
  readonly #at: XdpInterface;
  readonly #place: ForeignPlace;
  readonly #before: BpfProgram;
  readonly #programs: CapturePrograms;
  readonly #pins: WrapperPins;
  #guardian: Guardian | undefined;

  private constructor(
    how: CaptureHow,
    at: XdpInterface,
    place: ForeignPlace,
    before: BpfProgram,
    programs: CapturePrograms,
  ) {
    this.how = how;
    this.#at = at;
    this.#place = place;
    this.#before = before;
    this.#programs = programs;
    this.#pins = new WrapperPins(how.ifindex);
  }

  /** Takes `before` over. Throws XDPCTL_E_OCCUPIED where it was replaced meanwhile, XDPCTL_E_NOT_SUPPORTED, XDPCTL_E_BPFFS. */
  static async start(
    at: XdpInterface,
    how: CaptureHow,
    before: BpfProgram,
    options: WayOptions,
  ): Promise<WrappedCapture> {
    const place = at.place();
    const programs = await loadBefore(before, how, options);
    const made = new WrappedCapture(how, at, place, before, programs);
    try {
      // From here on the programs stay, whoever is killed: a wrapper without them would stop all frames.
      made.#pins.write(before, programs);
      made.#guardian = await Guardian.start(place, before, programs.enter);
      if (at.swap(place, before, programs.enter)) return made;
      throw new XdpctlError("XDPCTL_E_OCCUPIED", `the program of ${how.interface} was replaced meanwhile`, {
        remedy: "try again",
      });
    } catch (error) {
      await made.#guardian?.dismiss();
      made.#pins.remove();
      made.close();
      throw error;
    }
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
    return goneOrReplaced(this.#at, this.#programs.enter.id, "the program that captures");
  }

  async release(): Promise<string | undefined> {
    const back = this.#at.swap(this.#place, this.#programs.enter, this.#before);
    await this.#guardian?.dismiss();
    this.#pins.remove();
    // With the interface, the program that was there has gone: whoever captures says so.
    return back || this.#at.now() === undefined
      ? undefined
      : `${this.how.program} was not put back on ${this.how.interface}: it was replaced meanwhile`;
  }

  close(): void {
    this.#programs.close();
    this.#before.close();
  }
}

/** Programs call each other only when both take frames in several buffers, or none does; which it is can't be asked. */
async function loadBefore(next: BpfProgram, how: CaptureHow, options: WayOptions): Promise<CapturePrograms> {
  for (const frags of [true, false]) {
    try {
      return await CapturePrograms.load({ ...options, ifindex: how.ifindex, frags, next });
    } catch (error) {
      if (!XdpctlError.is(error) || error.errno !== errno.EINVAL) throw error;
    }
  }
  throw new XdpctlError(
    "XDPCTL_E_NOT_SUPPORTED",
    `${how.program} (id ${how.programId}) on ${how.interface} can't be called by another program`,
    { remedy: "the kernel refuses it: `xdpctl lab capture` and tcpdump see what such a program passes" },
  );
}
