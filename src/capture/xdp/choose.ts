// SPDX-License-Identifier: MIT
import { BpfProgram } from "../../bpf/index.js";
import { XdpctlError } from "../../errors/index.js";
import { findHook, type XdpInterface } from "../../xdp/index.js";
import { FexitCapture } from "./fexit.js";
import { HookedCapture } from "./hooked.js";
import type { CaptureHow, Way, WayOptions } from "./way.js";
import { WrappedCapture } from "./wrapped.js";

/** Finds the way that suits what is attached: our own program's hook, fexit, a wrapper, or `pass` where nothing is. */
export async function chooseWay(at: XdpInterface, options: WayOptions): Promise<Way> {
  const link = at.now();
  if (link === undefined) throw new XdpctlError("XDPCTL_E_INTERFACE_GONE", `${at.name} is gone`);
  const { mode, progId } = link.xdp;
  if (mode === "none") return HookedCapture.withPass(at, options);
  const program = BpfProgram.fromId(progId);
  if (program === undefined) {
    throw new XdpctlError("XDPCTL_E_OCCUPIED", `the program of ${at.name} was replaced meanwhile`, {
      remedy: "try again",
    });
  }
  let kept = false;
  try {
    const how: CaptureHow = {
      ...{ interface: at.name, ifindex: at.ifindex, program: program.functionName ?? program.name, programId: progId },
      mode: mode === "generic" ? "generic" : "native",
      way: "hook",
      verdicts: true,
    };
    const hook = findHook(program);
    if (hook !== undefined) return await HookedCapture.start(at, how, hook, options);
    // Refuses what can't be captured at all.
    at.place();
    const exit = await FexitCapture.tryStart(at, { ...how, way: "fexit" }, program, options);
    if (exit !== undefined) return exit;
    kept = true;
    return await WrappedCapture.start(at, { ...how, way: "wrapper", verdicts: false }, program, options);
  } finally {
    if (!kept) program.close();
  }
}
