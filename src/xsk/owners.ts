// SPDX-License-Identifier: MIT
import { XdpctlError } from "../errors/index.js";

/** Who has a frame. */
export const OWNER = { free: 0, fill: 1, user: 2, tx: 3 } as const;
export type OWNER = (typeof OWNER)[keyof typeof OWNER];

const NAMES = ["free", "the kernel's, to receive into", "held by the program", "the kernel's, to be sent"] as const;

/** Development mode's book of who has which frame: every change of hands is checked against it. */
export class Owners {
  readonly #book: Uint8Array;
  readonly #frameSize: number;

  constructor(frameCount: number, frameSize: number) {
    this.#book = new Uint8Array(frameCount);
    this.#frameSize = frameSize;
  }

  /** Throws XDPCTL_E_FRAME where somebody else has it. */
  move(frame: number, from: OWNER, to: OWNER): void {
    const index = frame / this.#frameSize;
    const now = this.#book[index];
    if (now === undefined || !Number.isInteger(index))
      throw new XdpctlError("XDPCTL_E_FRAME", `${frame} is not where a frame begins`);
    if (now !== from) {
      const what = from === OWNER.user && to === OWNER.free ? "given back" : to === OWNER.tx ? "sent" : "moved";
      throw new XdpctlError("XDPCTL_E_FRAME", `the frame at ${frame} was ${what}, but it is ${NAMES[now]}`, {
        remedy: "a frame is used up by being sent, dropped or freed: that may happen once",
      });
    }
    this.#book[index] = to;
  }

  reset(index: number): void {
    this.#book[index] = OWNER.free;
  }
}
