// SPDX-License-Identifier: MIT
import { closeSync, openSync, writeSync } from "node:fs";
import { constants } from "node:os";
import { XdpctlError } from "../../errors/index.js";
import type { GuestLab } from "../../lab/index.js";
import { readPcapngStatistics } from "../../packet/index.js";
import type { Context } from "../context.js";
import { end } from "./in-guest.js";

/** A block of statistics is shorter. */
const TAIL = 256;

/** Has `lab capture ARGS`, which writes pcapng to its standard output, done in a guest, and the packets in a file here. */
export async function captureFromGuest(
  lab: GuestLab,
  place: string,
  args: readonly string[],
  file: string,
  { signal, terminal }: Context,
): Promise<void> {
  const failed = (cause: unknown): XdpctlError => {
    const text = `the capture can't be written to ${file}: ${(cause as Error).message}`;
    return new XdpctlError("XDPCTL_E_NO_FILE", text, { cause });
  };
  let fd: number;
  try {
    fd = openSync(file, "w");
  } catch (error) {
    throw failed(error);
  }
  let trouble: XdpctlError | undefined;
  let tail = Buffer.alloc(0);
  try {
    const ending = await lab.run(["lab", "capture", place, "--lab", lab.name, "-w", "-", ...args], async (command) => {
      const stop = (): void => command.signal(constants.signals.SIGINT);
      if (signal.aborted) stop();
      signal.addEventListener("abort", stop, { once: true });
      command.stdin.end();
      command.stderr.pipe(process.stderr, { end: false });
      for await (const bytes of command.stdout as AsyncIterable<Buffer>) {
        if (trouble !== undefined) continue;
        try {
          for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
          tail = Buffer.concat([tail, bytes]).subarray(-TAIL);
        } catch (error) {
          trouble = failed(error);
          command.closeOutput(1);
        }
      }
    });
    if (trouble !== undefined) throw trouble;
    const counts = readPcapngStatistics(tail);
    if (counts !== undefined) {
      const [packets, lost] = [Number(counts.delivered), Number(counts.dropped)];
      terminal.json({ lab: lab.name, at: place, file, packets, lost });
    }
    end(ending);
  } finally {
    closeSync(fd);
  }
}
