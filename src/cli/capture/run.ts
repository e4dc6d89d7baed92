// SPDX-License-Identifier: MIT
import { type CapturedFrame, type CaptureHow, XdpCapture, type XdpCaptureOptions } from "../../capture/index.js";
import type { XdpctlError } from "../../errors/index.js";
import type { CaptureFlags } from "../commands/capture.js";
import { aborted, type Context, settle } from "../context.js";
import { FrameOutput } from "./output.js";

/** Frames that are under way when the capture ends are in the ring within so many milliseconds. */
const UNDER_WAY_MS = 20;

function startedText(capture: XdpCapture, { how } = capture): string {
  const what =
    how.way === "pass" ? `${how.interface}, which had no program: pass is attached for the time` : how.interface;
  const program = how.way === "pass" ? "" : `: ${how.program} (id ${how.programId})`;
  const fallback = how.fallback === undefined ? "" : `, not native: ${how.fallback}`;
  const verdicts =
    how.way === "fexit" ? "; not ours, so by fexit" : how.verdicts ? "" : "; not ours, so its verdicts are unknown";
  const where = capture.filterIn === undefined ? "" : `; the filter runs in ${where_(capture)}`;
  return `capturing on ${what}${program} (${how.mode}${fallback})${verdicts}${where}`;
}

function where_({ filterIn, filterWhy }: XdpCapture): string {
  return filterIn === "kernel" ? "the kernel" : `user space: ${filterWhy}`;
}

function facts(how: CaptureHow): Record<string, unknown> {
  const { interface: name, program, programId, mode, way, verdicts } = how;
  return { interface: name, program, programId, mode, way, verdicts };
}

/** `xdpctl capture`. */
export async function capture(name: string, flags: CaptureFlags, context: Context): Promise<void> {
  const { terminal, signal } = context;
  const loop = await context.loop();
  const live = await context.live();
  const held: { close(): unknown }[] = [live];
  let enough: (why?: XdpctlError) => void = () => {};
  const done = new Promise<XdpctlError | undefined>((resolve) => {
    enough = resolve;
  });
  const form = flags.write !== undefined ? "pcapng" : terminal.jsonMode ? "json" : "text";
  const wanted = flags.count ?? Number.POSITIVE_INFINITY;
  let frames = 0;
  let output: FrameOutput | undefined;
  let running: XdpCapture | undefined;
  const taken = (frame: CapturedFrame): void => {
    if (frames >= wanted || output === undefined) return;
    output.add(frame);
    if (++frames >= wanted) enough();
  };
  const options: XdpCaptureOptions = {
    ...(flags.filter === undefined ? {} : { filter: flags.filter }),
    ...(flags.snaplen === undefined ? {} : { snaplen: flags.snaplen }),
    ...(flags.ringSize === undefined ? {} : { ringBytes: flags.ringSize }),
    onEnd: enough,
    // What the reader does not take waits in the ring; what does not fit there is lost, and counted.
    onBatch: () => {
      output?.flush();
      if (output?.sink.full !== true || signal.aborted) return;
      running?.pause();
      void live.drained().then(() => running?.resume());
    },
  };
  try {
    const capture = await XdpCapture.start(loop, name, taken, options);
    running = capture;
    held.unshift(capture);
    output = new FrameOutput(live, form, capture.how, flags.write);
    held.unshift(output.sink);
    output.sink.onTrouble = () => enough();
    output.begin({ filter: flags.filter, snaplen: flags.snaplen });
    if (capture.repaired !== undefined) {
      terminal.note(`a capture that was killed had left its wrapper: ${capture.repaired} is back`);
    }
    terminal.note(startedText(capture));
    capture.drain();
    if (flags.for !== undefined) held.unshift(loop.after(flags.for * 1000, () => enough()));
    const why = await Promise.race([done, aborted(signal).then(() => undefined)]);
    output.sink.check();
    const left = await capture.release();
    if (frames < wanted) {
      await new Promise((resolve) => setTimeout(resolve, UNDER_WAY_MS));
      capture.resume();
      capture.drain();
    }
    const { seen, lost } = capture.counts;
    output.finish({ frames, seen, lost });
    await settle(live.drained(), signal);
    output.sink.check();
    terminal.note(`${frames} ${frames === 1 ? "frame" : "frames"} of ${seen}, ${lost} lost`);
    if (left !== undefined) terminal.note(left);
    if (flags.write !== undefined && flags.write !== "-") {
      terminal.json({ ...facts(capture.how), file: flags.write, frames, seen, lost });
    }
    if (why !== undefined) throw why;
  } finally {
    for (const one of held) await one.close();
  }
}
