// SPDX-License-Identifier: MIT
import { XdpctlError } from "../../errors/index.js";
import type { BringUpOptions } from "../../lab/index.js";
import type { Context } from "../context.js";

type LabRoom = typeof import("../../lab/index.js");

/**
 * The lab room, with this process where the labs are: a machine sees neither their mounts nor the other machines, so a
 * `lab` command that is typed inside of one goes out first.
 */
export async function openRoom(): Promise<LabRoom> {
  const room = await import("../../lab/index.js");
  const lab = process.env.XDPCTL_LAB;
  if (process.env.XDPCTL_NODE === undefined || lab === undefined || room.isReachable(lab)) return room;
  const port = room.errandPort();
  if (port !== undefined) process.exit(await goOut(room, port));
  if (!room.leaveMachine(lab)) {
    throw new XdpctlError("XDPCTL_E_NO_LAB", `the lab ${lab} can't be reached from inside its machine`, {
      remedy: "run the command outside of the machine",
    });
  }
  return room;
}

/** In a guest: the host runs the very command that was given here. */
async function goOut(room: LabRoom, port: string): Promise<number> {
  const words = process.argv.slice(process.argv.indexOf("lab") + 1);
  const stop = new AbortController();
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.on(name, () => stop.abort(name === "SIGINT" ? name : "SIGTERM"));
  return await room.runErrand(port, words, {
    input: process.stdin.isTTY ? undefined : process.stdin,
    output: process.stdout,
    errors: process.stderr,
    signal: stop.signal,
  });
}

/** The lab that is meant: `--lab`, else that of the machine one is in, else the only one. `by` is how it is named. */
export function selectLab(room: LabRoom, given: string | undefined, by = "--lab NAME"): string {
  const name = given ?? process.env.XDPCTL_LAB;
  if (name !== undefined && name !== "") return name;
  // One whose guest is gone can still be asked why.
  const ready = room.list().filter((lab) => ["ready", "degraded", "down"].includes(lab.state));
  const [only] = ready;
  if (only === undefined) {
    throw new XdpctlError("XDPCTL_E_NO_LAB", "there is no lab", { remedy: "`xdpctl lab deploy FILE` makes one" });
  }
  if (ready.length > 1) {
    throw new XdpctlError("XDPCTL_E_USAGE", `there are several labs: ${ready.map((lab) => lab.name).join(", ")}`, {
      remedy: `say which one: \`${by}\``,
    });
  }
  return only.name;
}

/** How this very program is started again. */
export function ownCommand(...args: string[]): [string, ...string[]] {
  return [process.execPath, ...process.execArgv, process.argv[1] ?? "", ...args];
}

/** How a command waits for machines that take their time. */
export function waiting(context: Context): Pick<BringUpOptions, "signal" | "log"> {
  return { signal: () => context.signal, log: (text) => context.terminal.note(text) };
}
