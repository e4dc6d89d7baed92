// SPDX-License-Identifier: MIT
import type { BpfMap } from "../../bpf/index.js";
import type { XdpctlError } from "../../errors/index.js";
import type { XdpMode } from "../../xdp/index.js";
import type { Filter } from "../filter.js";
import type { FrameCounts } from "./counts.js";

/** How frames are come by. */
export interface CaptureHow {
  readonly interface: string;
  readonly ifindex: number;
  /** The program that was there, or `pass`, which was put there for the time. */
  readonly program: string;
  readonly programId: number;
  readonly mode: XdpMode;
  /**
   * `hook`: a program of ours hands its frames on; `pass`: there was none, so ours is there for the time; `wrapper`: a
   * program that is not ours is called by one that captures first; `fexit`: the kernel calls us at that program's end.
   */
  readonly way: "hook" | "pass" | "wrapper" | "fexit";
  /** Whether the frames have verdicts. */
  readonly verdicts: boolean;
  /** Why `pass` could not be attached natively. */
  readonly fallback?: string;
}

/** What a way is made with. */
export interface WayOptions {
  readonly filter: Filter | undefined;
  readonly snaplen: number | undefined;
  readonly ringBytes: number;
}

/** Frames of one interface, on their way into a ring. */
export interface Way {
  readonly how: CaptureHow;
  readonly ring: BpfMap;
  /** Why the filter does not run in the kernel: frames then come unfiltered and whole. */
  readonly unfiltered: string | undefined;
  readonly counts: FrameCounts;
  /** Called once a second: it goes on for a few more. Returns why nothing more comes, once that is so. */
  renew(): XdpctlError | undefined;
  /** Puts all back as it was; the ring stays readable. Returns what could not be put back. */
  release(): Promise<string | undefined>;
  close(): void;
}
